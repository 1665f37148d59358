// SPDX-License-Identifier: Apache-2.0
// bonjour-service of npm, a responder that nobody here wrote; NODE_PATH names
// its folder. The output is that of dnssd_zeroconf.py:
//
//   dnssd_bonjour.js browse     prints "found KEY ADDRESS:PORT NAME" and
//                               "lost NAME" until its input ends
//   dnssd_bonjour.js publish ADDRESS PORT KEY
//                               publishes until its input ends; the address is
//                               that of the interface
'use strict'
const { Bonjour } = require('bonjour-service')

const [action, , port, key] = process.argv.slice(2)
const TYPE = { type: 'peernet', protocol: 'tcp' }
const fullName = (service) => `${service.name}._peernet._tcp.local.`
const bonjour = new Bonjour({}, (error) => console.log('bad', error))

if (action === 'browse') {
  const browser = bonjour.find(TYPE, (service) => {
    const { v, pk } = service.txt || {}
    if (v !== '1') console.log('bad', fullName(service), service.txt)
    // It takes addresses from the packet of the PTR record alone; a responder may
    // send them in another, and then there is the packet's sender.
    const addresses = service.addresses.length > 0
      ? service.addresses
      : [service.referer.address]
    for (const address of addresses) {
      console.log('found', pk, `${address}:${service.port}`, fullName(service))
    }
  })
  browser.on('down', (service) => console.log('lost', fullName(service)))
} else {
  bonjour.publish({
    ...TYPE, name: `bonjour-${key}`, port: Number(port), host: 'bonjour.local',
    txt: { v: '1', pk: key }
  })
}
console.log('ready')
process.stdin.resume()
process.stdin.on('end', () =>
  bonjour.unpublishAll(() => bonjour.destroy(() => process.exit(0))))
