// Uses a server over TLS through node-redis, and prints "done".
// node node-redis.js PORT CA CERT KEY
const fs = require('fs');
const { createClient } = require('redis');
const { run } = require('./tls.js');

const [port, ca, cert, key] = process.argv.slice(2);
const make = (authority) =>
  createClient({
    socket: {
      host: '127.0.0.1',
      port: Number(port),
      tls: true,
      reconnectStrategy: authority === ca ? () => 50 : false,
      ca: fs.readFileSync(authority),
      cert: fs.readFileSync(cert),
      key: fs.readFileSync(key),
      checkServerIdentity: () => undefined,
    },
  }).on('error', () => {});

run(async () => {
  const client = await make(ca).connect();
  const sub = await client.duplicate().on('error', () => {}).connect();
  return {
    set: (k, v) => client.set(k, v),
    get: (k) => client.get(k),
    pipeline: (n) => Promise.all(Array.from({ length: n }, () => client.incr('n'))),
    subscribe: (channel, told) => sub.subscribe(channel, told),
    publish: (channel, m) => client.publish(channel, m),
    kill: async () => {
      const other = await client.duplicate().on('error', () => {}).connect();
      await other.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']);
      other.destroy();
    },
    close: () => {
      client.destroy();
      sub.destroy();
    },
  };
}, async () => {
  // The certificate of the client is no authority.
  await make(cert).connect();
});
