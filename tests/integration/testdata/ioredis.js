// Uses a server over TLS through ioredis, and prints "done".
// node ioredis.js PORT CA CERT KEY
const fs = require('fs');
const Redis = require('ioredis');
const { run } = require('./tls.js');

const [port, ca, cert, key] = process.argv.slice(2);
const make = (authority) =>
  new Redis({
    host: '127.0.0.1',
    port: Number(port),
    retryStrategy: authority === ca ? () => 50 : null,
    tls: { ca: fs.readFileSync(authority), cert: fs.readFileSync(cert), key: fs.readFileSync(key), checkServerIdentity: () => undefined },
  });

run(async () => {
  const redis = make(ca);
  redis.on('error', () => {});
  const sub = redis.duplicate();
  return {
    set: (k, v) => redis.set(k, v),
    get: (k) => redis.get(k),
    pipeline: async (n) => {
      const p = redis.pipeline();
      for (let i = 0; i < n; i++) p.incr('n');
      return (await p.exec()).map(([err, v]) => err || v);
    },
    subscribe: async (channel, told) => {
      sub.on('message', (_, m) => told(m));
      await sub.subscribe(channel);
    },
    publish: (channel, m) => redis.publish(channel, m),
    kill: async () => {
      const other = redis.duplicate();
      await other.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      other.disconnect();
    },
    close: () => {
      redis.disconnect();
      sub.disconnect();
    },
  };
}, async () => {
  // The certificate of the client is no authority.
  const stranger = make(cert);
  stranger.on('error', () => {});
  await stranger.ping();
});
