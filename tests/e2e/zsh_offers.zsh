# SPDX-License-Identifier: Apache-2.0
# What a zsh on a terminal shows when it is asked to complete a line:
#     zsh -f zsh_offers.zsh COMPLETIONS-FOLDER LINE
zmodload zsh/zpty
setup="PS2= RPS1=; stty cols 500 rows 200; unsetopt zle_bracketed_paste
unsetopt prompt_sp prompt_cr beep; fpath=(${(q)1} \$fpath)
autoload -Uz compinit; compinit -u -D; LISTMAX=0
PS1=AS''K"
zpty z "TERM=dumb zsh -f -i"

zpty -w z "$setup"
zpty -r z REPLY '*ASK*' # of the line editor: before it the terminal edits
zpty -wn z "$2"$'\t\C-uecho DO\'\'NE\n'
zpty -r z REPLY '*DONE*'
print -r -- "$REPLY"
zpty -d z
