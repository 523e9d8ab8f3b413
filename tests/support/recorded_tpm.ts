/** Records the exchanges with a real TPM, and replays them. */
import assert from "node:assert/strict";
import type { TpmTransport } from "../../client/attestation/tpm_device.ts";
import { decodeHex, encodeHex } from "../../core/lib/encodings.ts";

/** A command and its response, both hexadecimal. */
export type TpmExchange = readonly [command: string, response: string];

/** Records the commands and responses of a transport. */
export function recordTpm(transport: TpmTransport, exchanges: TpmExchange[]): TpmTransport {
  return {
    async send(command) {
      const response = await transport.send(command);
      exchanges.push([encodeHex(command), encodeHex(response)]);
      return response;
    },
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
}

/** Replays the responses. Another command fails, and so does closing the transport before all commands were sent. */
export function replayTpm(exchanges: readonly TpmExchange[]): TpmTransport {
  const rest = [...exchanges];
  return {
    send(command) {
      const [expected, response = ""] = rest.shift() ?? [];
      assert.equal(encodeHex(command), expected);
      return Promise.resolve(decodeHex(response));
    },
    [Symbol.asyncDispose]() {
      assert.deepEqual(rest, []);
      return Promise.resolve();
    },
  };
}
