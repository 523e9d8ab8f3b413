/**
 * `http`: bytes over TLS to a server that listens, HTTP/1.1 and (behind a first byte 2) HTTP/2. Whatever it is sent, it
 * answers well-formed and without 5xx or hangs up, in good time, and is well at the end.
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
import { assertWellFormed } from "./api.ts";

const H2 = 2;
/**
 * An answer or the end of the connection must come within so many looks, of which the event loop has one in this time. The
 * server is in this process: when the machine holds it up, no look happens either.
 */
const [ANSWER_LOOKS, LOOK_EVERY_MS] = [100, 100];
/** The client ends a connection that is quiet for this time, such as a watch. */
const QUIET_MS = 40;
/** The memory that the server may keep after all inputs. */
const MEMORY_BYTES = 512 * 2 ** 20;
const CUT_PATH = /failed to create RequestInfo/;

export async function http(): Promise<Target> {
  const overloaded = await startOverloadedServer();
  const { logger, port } = overloaded;
  const before = process.memoryUsage().rss;
  return {
    name: "http",
    seeds: [...requestSeeds([`Authorization: Bearer ${TOKENS.admin}`]), ...http2Seeds()],
    words: [
      ...REQUEST_WORDS,
      "\u0000\u0000\u0000\u0004\u0001\u0000\u0000\u0000\u0000",
      "\u0000\u0000\u0004\u0003\u0000\u0000\u0000\u0000\u0001\u0000\u0000\u0000\u0008",
    ],
    maxBytes: 2 ** 20,
    graceMs: 2 * ANSWER_LOOKS * LOOK_EVERY_MS,
    async run(input) {
      const logged = logger.entries.length;
      const { bytes, end } = await exchange(port, input);
      assertHolds(end !== "silent", `no answer and no end within ${ANSWER_LOOKS * LOOK_EVERY_MS} ms`);
      assertForeseen(logger, logged);
      if (input[0] === H2) return `h2 ${end} ${bytes.length > 0}`;
      const answers = readAnswers(bytes);
      for (const { code, contentType, body } of answers) {
        assertHolds(
          code < 500 || code === 501 || CUT_PATH.test(body) || isMeant(logger, logged),
          `answered ${code}: ${body}`,
        );
        if (body !== "") assertWellFormed(code, contentType, body);
      }
      return `${answers.map(({ code }) => code).slice(0, 3)} ${end}`;
    },
    async close() {
      assertHolds(await overloaded.ask("/healthz") === 200, "the server is not well at the end");
      assertHolds(process.memoryUsage().rss - before < MEMORY_BYTES, "the server keeps too much memory");
      await overloaded[Symbol.asyncDispose]();
    },
  };
}

interface Received {
  readonly bytes: Bytes;
  /** The server closed, was quiet after an answer, or sent nothing at all. */
  readonly end: "closed" | "answered" | "silent";
}

/** Sends everything, ends its side, and returns what the server sends. */
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
      clearInterval(looking);
      clearTimeout(quiet);
      socket.destroy();
      resolve({ bytes: new Uint8Array(Buffer.concat(chunks)), end });
    };
    let looks = 0;
    const looking = setInterval(() => {
      if (++looks === ANSWER_LOOKS) finish(chunks.length > 0 ? "answered" : "silent");
    }, LOOK_EVERY_MS);
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      clearTimeout(quiet);
      quiet = setTimeout(() => finish("answered"), QUIET_MS);
    });
    socket.on("end", () => finish("closed"));
    socket.on("close", () => finish("closed"));
    // A server that hangs up in the middle of a request resets the connection.
    socket.on("error", () => finish("closed"));
  });
}

/** Checks that unexpected errors were logged, independent of the answer to the client. */
function assertForeseen(logger: MemoryLogger, from: number): void {
  for (const { level, message, fields } of logger.entries.slice(from)) {
    if (level !== "error") continue;
    if (message === "request failed" && fields["error"] instanceof StatusError) continue;
    const { error } = fields;
    throw new Error(`${message}: ${error instanceof Error ? error.stack : String(error)}`);
  }
}

/** A failure that kube-apiserver has as well is a Status with its own text. */
function isMeant(logger: MemoryLogger, from: number): boolean {
  return logger.entries.slice(from).some(({ fields }) => fields["error"] instanceof StatusError);
}

/** The preface, settings, and a request without compression. */
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
