// What a web page would do: talks ZWS 2.0 with nothing but the WebSocket that browsers have.
//
//   node client.mjs ROUTER PUBLISHER     two endpoints; the first echoes, the second publishes what is subscribed to
//
// Ends with 0 when all answers were right.

const [router, publisher] = process.argv.slice(2);
const MORE = 1;

function fail(why) {
    console.error(why);
    process.exit(1);
}

function same(got, wanted, what) {
    const text = (bytes) => Buffer.from(bytes).toString("latin1");
    if (text(got) !== text(wanted))
        fail(`${what}: got ${text(got).slice(0, 80)}, wanted ${text(wanted).slice(0, 80)}`);
}

/** One connection: messages come from next(), in order. */
function connect(url, protocols) {
    const socket = new WebSocket(url, protocols);
    socket.binaryType = "arraybuffer";
    const waiting = [];
    const arrived = [];
    socket.onmessage = (event) => {
        const bytes = new Uint8Array(event.data);
        if (waiting.length) waiting.shift()(bytes);
        else arrived.push(bytes);
    };
    socket.onerror = () => fail(`${url}: connection failed`);
    return new Promise((resolve) => {
        socket.onopen = () =>
            resolve({
                protocol: socket.protocol,
                send: (flags, body) => socket.send(Buffer.concat([Buffer.from([flags]), Buffer.from(body)])),
                next: () => (arrived.length ? arrived.shift() : new Promise((taken) => waiting.push(taken))),
                close: () =>
                    new Promise((closed) => {
                        socket.onclose = closed;
                        socket.close(1000, "enough");
                    }),
            });
    });
}

/** Browsers refuse names of sub-protocols with a slash in them, so there is no mechanism: routing ids, then messages. */
async function open(url, name) {
    const peer = await connect(url, ["ZWS2.0"]);
    same(Buffer.from(peer.protocol), Buffer.from("ZWS2.0"), "protocol");
    peer.send(0, name);
    same(await peer.next(), [0], "routing id");
    return peer;
}

async function echo(peer) {
    for (const size of [0, 1, 124, 125, 126, 65534, 65535, 65536, 1 << 20]) {
        const body = Buffer.alloc(size, "abcdefg");
        peer.send(MORE, "first");
        peer.send(0, body);
        same(await peer.next(), Buffer.from("\x01first"), "first part");
        same(await peer.next(), Buffer.concat([Buffer.from([0]), body]), `part of ${size}`);
    }
}

const named = await open(router, "page");
await echo(named);
const end = await named.close();
if (!end.wasClean || end.code !== 1000) fail(`closed with ${end.code}`);

const nameless = await open(router, "");
await echo(nameless);
await nameless.close();

const subscriber = await open(publisher, "");
subscriber.send(0, "\x01topic");
same(await subscriber.next(), Buffer.from("\0topic and more"), "publication");
subscriber.send(0, "\x00topic");
subscriber.send(0, "\x01end");
same(await subscriber.next(), Buffer.from("\0end and more"), "publication");
await subscriber.close();
console.log("all well");
process.exit(0);
