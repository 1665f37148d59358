#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A line of JSON in, a line of JSON out:
#
#     peernet serve temperature --allow phone -- ./thermometer.sh
#
# It goes on running, so it may hold a device open. A call with %{unit: "F"} gets
# {:ok, 70.7}, any other {:ok, 21.5}.
while read -r args; do
    case $args in
    *'":unit":"F"'*) value=70.7 ;;
    *) value=21.5 ;;
    esac
    echo "{\"\$tuple\":[{\"\$atom\":\"ok\"},$value]}"
done
