/** Attacks that open many connections and keep them open. */
import { requestFrame } from "../support/raw_http2.ts";
import { scaled, type Target } from "./attack.ts";
import { open, openSilent } from "./connection.ts";
import { pause, repeat, waitUntil } from "./waiting.ts";

/** The number of connections that are opened in parallel. */
const WIDTH = 50;
const ANSWERED_WITHIN_MS = 30_000;

/** Holds connections open that never begin a TLS handshake. */
export function holdSilent(count: number, target: Target): Promise<void> {
  return hold(count, target, () => openSilent(target));
}

/** Holds connections that finish the TLS handshake and send no request. */
export function holdIdle(count: number, target: Target): Promise<void> {
  return hold(count, target, () => open(target, { protocol: "h2" }));
}

/** Holds connections of authenticated clients, each of which has received an answer. */
export function holdKnown(count: number, target: Target): Promise<void> {
  return hold(count, target, async () => {
    const connection = await open(target, { protocol: "h2" });
    await connection.write(requestFrame(1, "GET", "/version", { authorization: `Bearer ${target.token}` }));
    const isAnswered = () => connection.answers() > 0 || connection.isClosed();
    await waitUntil(isAnswered, target.deadline, ANSWERED_WITHIN_MS);
    if (connection.answers() > 0) return connection;
    connection[Symbol.dispose]();
    throw new Error("no answer");
  });
}

/** Opens connections and holds them. Connections that the server has closed are not reopened. */
async function hold(count: number, target: Target, connect: () => Promise<Disposable>): Promise<void> {
  using held = new DisposableStack();
  await repeat(scaled(count, target.scale), WIDTH, target.deadline, async () => void held.use(await connect()));
  await pause(target.ms, target.deadline);
}
