// Writes through ioredis' client for Sentinel, and prints the key of each write that WAIT 1 has confirmed.
// node ioredis.js PORT...: the sentinels' ports; MASTER is the master's name.
const Redis = require('ioredis');

const redis = new Redis({
  sentinels: process.argv.slice(2).map((port) => ({ host: '127.0.0.1', port: Number(port) })),
  name: process.env.MASTER,
  sentinelRetryStrategy: () => 100,
  retryStrategy: () => 100,
  reconnectOnError: (err) => (err.message.startsWith('READONLY') ? 2 : false),
  maxRetriesPerRequest: 0,
  commandTimeout: 2000,
});
redis.on('error', () => {});

async function write() {
  for (let i = 0; ; i++) {
    const key = `ioredis:${i}`;
    try {
      const [[failed], [waitFailed, acked]] = await redis.pipeline().set(key, i).call('WAIT', 1, 500).exec();
      if (!failed && !waitFailed && acked >= 1) process.stdout.write(key + '\n');
    } catch {
      // The master is gone, and the next write finds another one.
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
write();
