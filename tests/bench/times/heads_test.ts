/**
 * Every parser of a request's head, and of texts in its body, takes linear time up to the limits of
 * docs/engineering/threat_model.md or, for texts in bodies, up to 256 KiB.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { after, before, describe, test } from "node:test";
import { DEFAULT_AUDIT_POLICY } from "../../../core/audit/policy.ts";
import type { UserInfo } from "../../../core/kube/user.ts";
import { isStream } from "../../../server/http/answer.ts";
import { MAX_HEAD_BYTES, MAX_TARGET_LENGTH } from "../../../server/http/limits.ts";
import { assertLinear } from "../../support/growth.ts";
import { ADMIN, createTestApp, type TestApp } from "../../support/test_app.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/** The number of repeated bytes in a target, without the path and the name of a parameter. */
const TARGET = MAX_TARGET_LENGTH - 256;
/** The size above which DER is refused unread. A quadratic reader of PEM takes minutes for this much. */
const MAX_DER_BYTES = 262_144;
const DOCUMENT = "/openapi/v3/api/v1";

/** The repeated pieces: each character that is special to a parser, and combinations of them. */
const PIECES = [
  ...' 0a,;=/.-%+"\\(!',
  ...["a,", "a;", "a=,", "a=b,", "a/b,", "a in (b),", "!a,", ";q=0", "%2f", '"a\\"', "1h", "a.", "..", "é"],
] as const;
/** The end of each input. It makes a reader that can read the beginning in several ways try them all. */
const END = "!";

/** A request with a repeated piece. */
interface Sent {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** An in-process user; undefined sends the request through authentication. */
  readonly user?: UserInfo | undefined;
}

let app: TestApp;

/** Sends a request to the app as the listener does. A `Request` would spend more time on a header than all readers. */
async function send({ method = "GET", path, headers = {}, body, user }: Sent): Promise<number> {
  const bytes = new TextEncoder().encode(body);
  const { status, body: answered } = await app.api.app({
    method,
    target: path,
    rawHeaders: Object.entries(headers).flat(),
    peer: undefined,
    remoteAddress: "192.0.2.1",
    user,
    signal: new AbortController().signal,
    readBody: (take) => Promise.resolve(void take(bytes)),
  });
  if (isStream(answered)) answered.cancel();
  return status;
}

/** Asserts that sending an input takes linear time, whatever piece it repeats. */
async function assertLinearForPieces(
  limit: number,
  sent: (text: string) => Sent,
  pieces: readonly string[] = PIECES,
): Promise<void> {
  for (const piece of pieces) {
    const input = (size: number) => sent(`${piece.repeat(size / piece.length)}${END}`);
    await assertLinear({ input, read: send, limit }).catch((error: unknown) => {
      throw new Error(`repeating ${JSON.stringify(piece)}`, { cause: error });
    });
  }
}

/** Every header that is parsed, with the text before the repeated piece. */
const HEADERS: readonly (readonly [name: string, start: string, sent: Sent])[] = [
  ["accept", "", { path: MAPS, user: ADMIN }],
  ["accept", "application/json;q=0", { path: MAPS, user: ADMIN }],
  ["accept", "", { path: "/apis" }],
  ["accept", "", { path: "/openapi/v2", user: ADMIN }],
  ["accept", "", { path: "/metrics", user: ADMIN }],
  ["accept-encoding", "", { path: DOCUMENT, user: ADMIN }],
  ["audit-id", "", { path: "/version" }],
  ["authorization", "", { path: "/version" }],
  ["authorization", "Bearer ", { path: "/version" }],
  ["authorization", "Bearer abcdef.", { path: "/version" }],
  ["content-type", "", { method: "POST", path: MAPS, body: "{}", user: ADMIN }],
  ["content-type", "application/json;", { method: "POST", path: MAPS, body: "{}", user: ADMIN }],
  ["content-type", "", { method: "PATCH", path: `${MAPS}/a`, body: "{}", user: ADMIN }],
  ["content-length", "", { method: "POST", path: MAPS, user: ADMIN }],
  ["if-none-match", '"', { path: DOCUMENT, user: ADMIN }],
  ["if-match", "", { path: DOCUMENT, user: ADMIN }],
  ["if-modified-since", "", { path: DOCUMENT, user: ADMIN }],
  ["if-unmodified-since", "", { path: DOCUMENT, user: ADMIN }],
  ["if-range", "", { path: DOCUMENT, headers: { range: "bytes=0-1" }, user: ADMIN }],
  ["range", "bytes=", { path: DOCUMENT, user: ADMIN }],
  ["user-agent", "", { path: MAPS, user: ADMIN }],
  ["user-agent", "", { method: "POST", path: MAPS, body: "{}", user: ADMIN }],
  ["x-forwarded-for", "", { path: "/version" }],
  ["x-real-ip", "", { path: "/version" }],
  ["impersonate-user", "", { path: "/version", user: ADMIN }],
  ["impersonate-user", "system:serviceaccount:", { path: "/version", user: ADMIN }],
  ["impersonate-extra-a", "", { path: "/version", headers: { "impersonate-user": "a" }, user: ADMIN }],
];

/** Every query parameter that is parsed, on the requests that have it. Pieces are sent as they are, and escaped. */
const PARAMETERS: readonly (readonly [name: string, sent: Sent])[] = [
  ...[
    "labelSelector",
    "fieldSelector",
    "continue",
    "resourceVersion",
    "resourceVersionMatch",
    "limit",
    "timeoutSeconds",
  ]
    .map((name) => [name, { path: MAPS, user: ADMIN }] as const),
  ...["watch", "allowWatchBookmarks", "sendInitialEvents", "includeObject", "pretty", "timeout", "unknown"]
    .map((name) => [name, { path: MAPS, user: ADMIN }] as const),
  ...["dryRun", "fieldManager", "fieldValidation", "force"]
    .map((name) => [name, { method: "POST", path: MAPS, body: "{}", user: ADMIN }] as const),
  ...["gracePeriodSeconds", "orphanDependents", "propagationPolicy", "uid"]
    .map((name) => [name, { method: "DELETE", path: `${MAPS}/none`, user: ADMIN }] as const),
  ["exclude", { path: "/readyz" }],
  ["verbose", { path: "/livez" }],
  ["hash", { path: DOCUMENT, user: ADMIN }],
];

function review(token: string): Sent {
  const body = JSON.stringify({ spec: { token } });
  return { method: "POST", path: "/apis/authentication.k8s.io/v1/tokenreviews", body, user: ADMIN };
}

function request(pem: string): Sent {
  const spec = { request: Buffer.from(pem).toString("base64"), signerName: "a.b/c", usages: ["client auth"] };
  return {
    method: "POST",
    path: `${CSRS}?dryRun=All`,
    body: JSON.stringify({ metadata: { name: "a" }, spec }),
    user: ADMIN,
  };
}

function block(text: string): string {
  return `-----BEGIN CERTIFICATE REQUEST-----\n${text}\n-----END CERTIFICATE REQUEST-----\n`;
}

function derBlock(der: Buffer): string {
  return block(der.toString("base64"));
}

function sequence(content: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([Buffer.from([0x30, 0x84]), length, content]);
}

function latin1(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

describe("the time of readers of requests", () => {
  before(async () => {
    app = await createTestApp({ audit: { policy: DEFAULT_AUDIT_POLICY, sink: { write: () => true } } });
    await app.send("POST", MAPS, { body: { metadata: { name: "a", labels: { a: "b" } } } });
  });
  after(() => app[Symbol.asyncDispose]());

  test("assertLinear() passes a linear reader and fails a quadratic and a cubic one", async () => {
    // The times are passed in, because measured times vary.
    const reading = (power: number) =>
      assertLinear({
        input: (size) => size,
        read: () => undefined,
        limit: 8_192,
        time: (_read, size, count = 1) => Promise.resolve(count * 20 * (size / 1_000) ** power),
      });
    await reading(1);
    await assert.rejects(reading(2), /: not linear$/);
    await assert.rejects(reading(3), /: not linear$/);
  });

  for (const [name, start, sent] of HEADERS) {
    test(`the header ${name} takes linear time: ${start}… of ${sent.method ?? "GET"} ${sent.path}`, async () => {
      await assertLinearForPieces(MAX_HEAD_BYTES, (text) => ({
        ...sent,
        headers: { ...sent.headers, [name]: `${start}${text}` },
      }));
    });
  }

  for (const [name, sent] of PARAMETERS) {
    test(`the parameter ${name} of ${sent.method ?? "GET"} ${sent.path} takes linear time`, async () => {
      await assertLinearForPieces(TARGET, (text) => ({
        ...sent,
        path: `${sent.path}?${name}=${encodeURIComponent(text).slice(0, TARGET)}`,
      }));
    });
  }

  for (
    const [what, path] of [
      ["a query", (text) => `/version?${text}`],
      ["a path", (text) => `/${text}`],
      ["a path of the API", (text) => `/api/v1/namespaces/${text}`],
      ["a name", (text) => `${MAPS}/${text}`],
      ["an absolute target", (text) => `https://a/${text}`],
    ] as readonly (readonly [string, (text: string) => string])[]
  ) {
    test(`${what} takes linear time`, async () => {
      await assertLinearForPieces(TARGET, (text) => ({ path: path(text.replaceAll(" ", "&")), user: ADMIN }));
    });
  }

  /** Texts in bodies that have their own parsers, with pieces that are special to these. */
  for (
    const [what, pieces, sent] of [
      ["a token that is reviewed", ["a", "."], review],
      ["PEM", ["-", "\n", " ", "-----BEGIN CERTIFICATE REQUEST-----\n"], request],
      ["a block of PEM", ["A", "=", "\n", "-----END ", "a: b\n"], (text) => request(block(text))],
      ["blocks of PEM", [block("AAAA"), block("")], (text) => request(text + block("AAAA"))],
      [
        "DER",
        ["0", "\x30\x80", "\x30\x82\xff\xff", "\x02\x01\x00"],
        (text) => request(derBlock(latin1(text))),
      ],
      [
        "elements of DER",
        ["\x02\x01\x00", "\x30\x00"],
        (text) => request(derBlock(sequence(latin1(text)))),
      ],
    ] as readonly (readonly [string, readonly string[], (text: string) => Sent])[]
  ) {
    test(`${what} takes linear time`, async () => {
      // Base64 of the text, and the text around it.
      await assertLinearForPieces(MAX_DER_BYTES * 0.7, sent, pieces);
    });
  }
});
