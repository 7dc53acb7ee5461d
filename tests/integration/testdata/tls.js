// What the scripts for node's libraries do: large values, a pipeline, messages, and a connection that is killed and made again.
const assert = require('assert');

// until calls what until it succeeds.
async function until(what) {
  for (;;) {
    try {
      return await what();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

exports.run = async (open, stranger) => {
  try {
    const c = await open();
    const large = 'v'.repeat(3 << 20);
    assert.strictEqual(await c.set('large', large), 'OK');
    assert.strictEqual(await c.get('large'), large);
    assert.deepStrictEqual(await c.pipeline(5000), Array.from({ length: 5000 }, (_, i) => i + 1));
    const messages = [];
    let arrived;
    const all = new Promise((resolve) => (arrived = resolve));
    await c.subscribe('news', (m) => messages.push(m) === 100 && arrived());
    for (let i = 0; i < 100; i++) assert.strictEqual(await c.publish('news', String(i)), 1);
    await all;
    assert.deepStrictEqual(messages, Array.from({ length: 100 }, (_, i) => String(i)));
    await c.kill();
    assert.strictEqual(await until(() => c.get('n')), '5000');
    c.close();
    await assert.rejects(stranger);
    console.log('done');
    process.exit(0);
  } catch (err) {
    console.error(err);
    process.exit(1);
  }
};
