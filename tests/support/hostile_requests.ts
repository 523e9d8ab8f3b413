/** Requests that are expensive to read, and a check that other clients are answered meanwhile. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:tls";
import { MASTERS } from "./privilege/identities.ts";
import { READER_HEADER, type TestedInstance } from "./privilege/tested_instance.ts";

/** The path of the ConfigMaps to which bodies are sent. */
export const MAPS = "/api/v1/namespaces/default/configmaps";

function nested(open: string, close: string, depth: number): string {
  return open.repeat(depth) + close.repeat(depth);
}

/** A body that must get a 4xx with this reason. */
export interface Bomb {
  readonly name: string;
  readonly contentType: string;
  readonly says: RegExp;
  readonly body: () => string;
}

const JSON_TYPE = "application/json";
const YAML_TYPE = "application/yaml";
const TOO_DEEP = /exceeded max depth/;

/** These are refused with every `fieldValidation`, because of their depth and size. */
export const BOMBS: readonly Bomb[] = [
  { name: "deep JSON arrays", contentType: JSON_TYPE, says: TOO_DEEP, body: () => nested("[", "]", 500_000) },
  { name: "deep JSON objects", contentType: JSON_TYPE, says: TOO_DEEP, body: () => `{"a":`.repeat(400_000) },
  {
    name: "deep JSON in an unknown field",
    contentType: JSON_TYPE,
    says: TOO_DEEP,
    body: () => `{"metadata":{"name":"x"},"x":${nested("[", "]", 10_000)}}`,
  },
  {
    name: "deep JSON in a field that may hold any JSON",
    contentType: JSON_TYPE,
    says: TOO_DEEP,
    body: () =>
      `{"metadata":{"name":"x","managedFields":[{"manager":"m","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":${
        nested('{"f:a":', "}", 9_000).replace("}", "{}}")
      }}]}}`,
  },
  {
    name: "a long number",
    contentType: JSON_TYPE,
    says: /cannot unmarshal number/,
    body: () => `{"metadata":{"generation":${"9".repeat(2_000_000)}}}`,
  },
  {
    name: "a long string of escapes",
    contentType: JSON_TYPE,
    says: /^\0{1000}/,
    body: () => `{"kind":"${"\\u0000".repeat(400_000)}"}`,
  },
  {
    name: "YAML aliases that multiply",
    contentType: YAML_TYPE,
    says: /yaml: line 5: aliases repeat too many values/,
    body: () => laughs(12),
  },
  {
    name: "YAML aliases that multiply as keys",
    contentType: YAML_TYPE,
    says: /yaml: line 2: a key must be text/,
    body: () => laughs(12).replaceAll("[", "{").replaceAll("]", "}"),
  },
  {
    name: "deep YAML flow",
    contentType: YAML_TYPE,
    says: /yaml: line 1: too many levels/,
    body: () => nested("[", "]", 200_000),
  },
  {
    name: "deep YAML blocks",
    contentType: YAML_TYPE,
    says: /yaml: line 3: too many values/,
    body: () => `metadata: {name: x}\nx:\n${"- ".repeat(200_000)}a`,
  },
  {
    name: "YAML that is deep only because of an alias",
    contentType: YAML_TYPE,
    says: /yaml: line 2: too many levels/,
    body: () =>
      `metadata: {name: x}\nx: &x ${nested("[", "]", 300)}\ny: ${nested("[", "]", 300).replace("[]", "[*x]")}`,
  },
  {
    name: "many YAML anchors",
    contentType: YAML_TYPE,
    says: /yaml: line 1: unexpected text/,
    body: () => `a: ${"&a ".repeat(300_000)}x`,
  },
  {
    name: "YAML with many spaces",
    contentType: YAML_TYPE,
    says: /yaml: line 1: unexpected text or indentation/,
    body: () => `a:${" ".repeat(2_000_000)}b: c: d`,
  },
];

/** These are refused for their duplicate fields, and only with `fieldValidation=Strict`. */
export const REPETITIONS: readonly Bomb[] = [
  {
    name: "many equal keys",
    contentType: JSON_TYPE,
    says: /too many repeated fields/,
    body: () => `{${'"a":1,'.repeat(400_000)}"b":1}`,
  },
  {
    name: "YAML merge keys",
    contentType: YAML_TYPE,
    says: /too many elements/,
    body: () => `a: &a {b: c}\nd:\n${"  <<: *a\n".repeat(100_000)}`,
  },
];

/** Creates a "billion laughs" document of this depth, with nine references at each level. */
export function laughs(levels: number): string {
  const lines = ['a0: &a0 ["lol"]'];
  for (let level = 1; level <= levels; level++) {
    lines.push(`a${level}: &a${level} [${Array.from({ length: 9 }, () => `*a${level - 1}`).join(", ")}]`);
  }
  return `${lines.join("\n")}\n`;
}

/** Large and hostile request heads, most of them without credentials. */
export const HEADS: readonly (readonly [what: string, head: string])[] = [
  ["a quality of digits in Accept", head("/version", `Accept: a/b;q=${"0".repeat(120_000)}x`)],
  ["clauses in Accept", head("/version", `Accept: ${"a/b,".repeat(30_000)}`)],
  ["spaces in Content-Type", head("/version", `Content-Type: a/b;${" ".repeat(120_000)}x`)],
  ["a bearer token", head("/version", `Authorization: Bearer ${"a.".repeat(60_000)}`)],
  ["as many headers as fit", head("/version", "A: b\r\n".repeat(1_900))],
  ["many equal headers", head("/version", "X-Forwarded-For: ::1\r\n".repeat(1_900))],
  ["names in a query", head(`/version?${"a&".repeat(32_000)}`)],
  ["escapes in a query", head(`/version?${"%61=%zz&".repeat(8_000)}`)],
  ["a label selector", head(`${MAPS}?labelSelector=${"a,".repeat(32_000)}`, READER_HEADER)],
  ["a field selector", head(`${MAPS}?fieldSelector=${"a%3Db,".repeat(10_000)}`, READER_HEADER)],
  ["slashes in a path", head("/".repeat(65_000))],
  ["dots in a path", head(`/api/v1/${"../".repeat(21_000)}`)],
  ["requests in one write", `${head("/version").replace("close", "keep-alive").repeat(500)}${head("/version")}`],
  [
    "chunks of one byte",
    `${head("/version", "Transfer-Encoding: chunked", "POST")}${"1\r\na\r\n".repeat(50_000)}0\r\n\r\n`,
  ],
];

function head(target: string, header = "X-A: b", method = "GET"): string {
  return `${method} ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${header.trimEnd()}\r\n\r\n`;
}

/**
 * Sends something while another connection requests `/livez` repeatedly, and asserts that these requests are answered.
 * `watch` runs each of them.
 */
export async function withOthersAnswered<T>(
  { server }: TestedInstance,
  send: () => Promise<T>,
  watch: (ask: () => Promise<void>) => Promise<void> = (ask) => ask(),
): Promise<T> {
  const socket = connect({ host: "127.0.0.1", port: server.port, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  let isSent = false;
  const sending = send().finally(() => isSent = true);
  do {
    await watch(async () => {
      socket.write("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
      const [answer] = await once(socket, "data");
      assert.match(String(answer), /^HTTP\/1\.1 200 /);
    });
  } while (!isSent);
  socket.destroy();
  return await sending;
}

/** Sends a body, and returns the answer. */
export function sendBody(
  instance: TestedInstance,
  fieldValidation: string,
  body: string,
  contentType: string,
): ReturnType<TestedInstance["as"]> {
  return instance.as(MASTERS, "POST", `${MAPS}?fieldValidation=${fieldValidation}`, body, { contentType });
}
