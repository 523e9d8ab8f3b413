/**
 * `http`: bytes over TLS to a listening server, as HTTP/1.1 or, after a first byte 2, as HTTP/2. For any input, the
 * server must answer in time with well-formed answers and without 5xx, or close the connection. It must be healthy at
 * the end.
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import { connect, type TLSSocket } from "node:tls";
import { StatusError } from "../../../core/kube/status/status.ts";
import type { MemoryLogger } from "../../support/memory_logger.ts";
import { startOverloadedServer, TOKENS } from "../../support/overloaded_server.ts";
import { FRAME, frame, PREFACE, requestFrame, resetFrame } from "../../support/raw_http2.ts";
import { join } from "../mutate.ts";
import { assertHolds } from "../oracle.ts";
import { type Bytes, encodeText, type Target } from "../target.ts";
import { REQUEST_WORDS, requestSeeds } from "../inputs/requests.ts";
import { readAnswers } from "../inputs/answers.ts";
import { assertWellFormed, CUT_PATH } from "./api.ts";

const H2 = 2;
/**
 * An answer or the end of the connection must arrive within this many polls at this interval. The server is in this
 * process, so polls stop too when the machine delays it.
 */
const [ANSWER_POLLS, POLL_MS] = [100, 100];
/** The client closes a connection that is quiet for this time, such as a watch. */
const QUIET_MS = 40;
/** The memory that the server may retain after all inputs. */
const MEMORY_BYTES = 512 * 2 ** 20;

export async function http(): Promise<Target> {
  const overloaded = await startOverloadedServer();
  const { logger, port } = overloaded;
  const before = process.memoryUsage().rss;
  return {
    seeds: [...requestSeeds([`Authorization: Bearer ${TOKENS.admin}`]), ...http2Seeds()],
    words: [
      ...REQUEST_WORDS,
      "\u0000\u0000\u0000\u0004\u0001\u0000\u0000\u0000\u0000",
      "\u0000\u0000\u0004\u0003\u0000\u0000\u0000\u0000\u0001\u0000\u0000\u0000\u0008",
    ],
    maxBytes: 2 ** 20,
    graceMs: 2 * ANSWER_POLLS * POLL_MS,
    async run(input) {
      const logged = logger.entries.length;
      const { bytes, end } = await exchange(port, input);
      assertHolds(end !== "silent", `no answer and no end within ${ANSWER_POLLS * POLL_MS} ms`);
      assertExpectedErrors(logger, logged);
      if (input[0] === H2) return `h2 ${end} ${bytes.length > 0}`;
      const answers = readAnswers(bytes);
      let intended = countIntended(logger, logged);
      for (const { code, contentType, body } of answers) {
        assertHolds(
          code < 500 || code === 501 || CUT_PATH.test(body) || intended-- > 0,
          `answered ${code}: ${body}`,
        );
        if (body !== "") assertWellFormed(code, contentType, body);
      }
      return `${answers.map(({ code }) => code).slice(0, 3)} ${end}`;
    },
    async close() {
      assertHolds(await overloaded.ask("/healthz") === 200, "the server is not healthy at the end");
      assertHolds(process.memoryUsage().rss - before < MEMORY_BYTES, "the server keeps too much memory");
      await overloaded[Symbol.asyncDispose]();
    },
  };
}

interface Received {
  readonly bytes: Bytes;
  /** Whether the server closed the connection, was quiet after an answer, or sent nothing. */
  readonly end: "closed" | "answered" | "silent";
}

/** Sends all bytes, ends its side, and returns what the server sends. */
function exchange(port: number, input: Bytes): Promise<Received> {
  const isH2 = input[0] === H2;
  const sent = isH2 ? input.subarray(1) : input;
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket: TLSSocket = connect({
      host: "127.0.0.1",
      port,
      rejectUnauthorized: false,
      ALPNProtocols: [isH2 ? "h2" : "http/1.1"],
    }, () => void socket.end(sent));
    let quiet: ReturnType<typeof setTimeout> | undefined;
    const finish = (end: Received["end"]): void => {
      clearInterval(polling);
      clearTimeout(quiet);
      socket.destroy();
      resolve({ bytes: new Uint8Array(Buffer.concat(chunks)), end });
    };
    let polls = 0;
    const polling = setInterval(() => {
      if (++polls === ANSWER_POLLS) finish(chunks.length > 0 ? "answered" : "silent");
    }, POLL_MS);
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      clearTimeout(quiet);
      quiet = setTimeout(() => finish("answered"), QUIET_MS);
    });
    socket.on("end", () => finish("closed"));
    socket.on("close", () => finish("closed"));
    // A server that closes in the middle of a request resets the connection.
    socket.on("error", () => finish("closed"));
  });
}

/** Throws an unexpected error that was logged, whatever the answer to the client was. */
function assertExpectedErrors(logger: MemoryLogger, from: number): void {
  for (const { level, message, fields } of logger.entries.slice(from)) {
    if (level !== "error") continue;
    if (message === "request failed" && fields["error"] instanceof StatusError) continue;
    const { error } = fields;
    throw new Error(`${message}: ${error instanceof Error ? error.stack : String(error)}`);
  }
}

/** Counts the Statuses that the server logged. Each is the intended failure of one request. */
function countIntended(logger: MemoryLogger, from: number): number {
  return logger.entries.slice(from).filter(({ fields }) => fields["error"] instanceof StatusError).length;
}

/** Returns seeds with the preface, settings, and a request without compression. */
function http2Seeds(): readonly Bytes[] {
  const headers = { authorization: `Bearer ${TOKENS.admin}` };
  const path = "/api/v1/namespaces/default/configmaps";
  const seeds = [
    [requestFrame(1, "GET", "/healthz", headers)],
    [requestFrame(1, "POST", path, headers, true), frame(FRAME.data, 1, 1, encodeText('{"metadata":{"name":"h"}}'))],
    [requestFrame(1, "GET", "/api", headers), resetFrame(1), frame(FRAME.ping, 0, 0, new Uint8Array(8))],
  ];
  return seeds.map((frames) => join(Uint8Array.of(H2), PREFACE, ...frames));
}
