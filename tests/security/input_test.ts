/** Hostile bodies, parameters and files are refused, bounded, and read in linear time. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { before, test } from "node:test";
import { connect } from "node:tls";
import { gzipSync } from "node:zlib";
import { parseKubeconfig } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { parseCpuSeconds } from "../bench/processes.ts";
import { isFullRun } from "../support/full_run.ts";
import { MASTERS } from "../support/privilege/identities.ts";
import {
  certified,
  createReader,
  describeTestedInstance,
  MERGE,
  READER,
  READER_HEADER,
  type TestedInstance,
} from "../support/privilege/tested_instance.ts";
import { type RawAnswer, sendRaw } from "../support/raw_http.ts";
import { runCaptured } from "../support/run_captured.ts";
import { createTempFolder } from "../support/temp.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";
const alice = certified("alice");

/** Asserts that the prototype of all objects in this process is unchanged. */
function assertPristine(): void {
  assert.deepEqual(Object.keys(Object.prototype), []);
  assert.equal(Reflect.get({}, "polluted"), undefined);
}

const KEYS = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf"];

/** Sends a handwritten POST, and returns the answer. */
async function postOverHttp1(
  port: number,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>>,
): Promise<RawAnswer> {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  const lines = [
    `POST ${MAPS} HTTP/1.1`,
    "Host: x",
    READER_HEADER,
    "Connection: close",
    `Content-Length: ${bytes.length}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  return await sendRaw(port, Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`), bytes]));
}

function nested(open: string, close: string, depth: number): string {
  return open.repeat(depth) + close.repeat(depth);
}

/** A body that must get a 4xx with this reason. */
interface Bomb {
  readonly name: string;
  readonly contentType: string;
  readonly says: RegExp;
  readonly body: () => string;
}

const JSON_TYPE = "application/json";
const YAML_TYPE = "application/yaml";
const TOO_DEEP = /exceeded max depth/;

/** These are refused with every `fieldValidation`, because of their depth and size. */
const BOMBS: readonly Bomb[] = [
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
const REPETITIONS: readonly Bomb[] = [
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
function laughs(levels: number): string {
  const lines = ['a0: &a0 ["lol"]'];
  for (let level = 1; level <= levels; level++) {
    lines.push(`a${level}: &a${level} [${Array.from({ length: 9 }, () => `*a${level - 1}`).join(", ")}]`);
  }
  return `${lines.join("\n")}\n`;
}

/** The longest time for which a client's request may delay all others. */
const LONGEST_WAIT_MS = 500;
/** Large and hostile request heads, most of them without credentials. */
const HEADS: readonly (readonly [what: string, head: string])[] = [
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
 * Sends something while another connection requests `/livez` repeatedly, and asserts that these requests are answered,
 * in the full run also quickly.
 */
async function withOthersAnswered<T>(instance: TestedInstance, send: () => Promise<T>): Promise<T> {
  let isSent = false;
  const sending = send().finally(() => isSent = true);
  const waitedMs = await measureLongestWait(instance, () => isSent);
  const answer = await sending;
  if (isFullRun) assert.ok(waitedMs < LONGEST_WAIT_MS, `another client waited ${waitedMs.toFixed(0)} ms for /livez`);
  return answer;
}

/**
 * Measures the longest wait for an answer until `isOver`, in milliseconds. Only the time in which the server's event
 * loop computed counts, not the time in which the machine ran other programs.
 */
async function measureLongestWait({ server, pid }: TestedInstance, isOver: () => boolean): Promise<number> {
  const socket = connect({ host: "127.0.0.1", port: server.port, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  let longestMs = 0;
  do {
    const [startedAt, computedBefore] = [performance.now(), await readEventLoopMs(pid)];
    socket.write("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    const [answer] = await once(socket, "data");
    assert.match(String(answer), /^HTTP\/1\.1 200 /);
    longestMs = Math.max(
      longestMs,
      Math.min(performance.now() - startedAt, await readEventLoopMs(pid) - computedBefore),
    );
  } while (!isOver());
  socket.destroy();
  return longestMs;
}

/** Reads the processor time of the server's first thread in milliseconds. Linux counts in steps of ten. */
async function readEventLoopMs(pid: number): Promise<number> {
  return 1_000 * parseCpuSeconds(await readFile(`/proc/${pid}/task/${pid}/stat`, "utf8"));
}

describeTestedInstance("hostile input", [alice, READER], (instance) => {
  before(async () => {
    await createReader(instance);
    await instance.grant("system:bootstrap:reader", {
      apiGroups: [""],
      resources: ["configmaps"],
      verbs: ["get", "list"],
    });
  });

  for (const key of KEYS) {
    test(`the key ${key} is an ordinary key in bodies, patches and labels`, async () => {
      const name = `proto-${key.replaceAll("_", "-").toLowerCase()}x`;
      const json =
        `{"metadata":{"name":"${name}","labels":{"${key}":"v"},"annotations":{"${key}":"v"}},"data":{"${key}":"v"},"${key}":{"polluted":"yes"}}`;
      const created = await instance.as(MASTERS, "POST", `${MAPS}?fieldValidation=Ignore`, json);
      // A label begins and ends with a letter or digit, so `__proto__` is not a valid one, in Kubernetes too.
      const isLabel = !key.startsWith("_");
      assert.equal(created.code, isLabel ? 201 : 422, created.text);
      const plain = `{"metadata":{"name":"${name}d","annotations":{"a":"b"}},"data":{"${key}":"v"}}`;
      const stored = await instance.as(MASTERS, "POST", MAPS, plain);
      assert.equal(stored.code, 201, stored.text);
      const read = await instance.admin("GET", `${MAPS}/${name}d`);
      assert.ok(read.text.includes(`"${key}":"v"`), read.text);
      const merge = await instance.as(MASTERS, "PATCH", `${MAPS}/${name}d`, `{"data":{"${key}":"w","b":"c"}}`, MERGE);
      assert.equal(merge.code, 200, merge.text);
      const operations =
        `[{"op":"add","path":"/${key}","value":{"polluted":"yes"}},{"op":"add","path":"/metadata/annotations/${key}","value":"v"},{"op":"add","path":"/${key}/polluted","value":"yes"}]`;
      const json6902 = { contentType: "application/json-patch+json" };
      const patched = await instance.as(
        MASTERS,
        "PATCH",
        `${MAPS}/${name}d?fieldValidation=Ignore`,
        operations,
        json6902,
      );
      assert.ok([200, 422].includes(patched.code), patched.text);
      const apply = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"${name}d"},"data":{"${key}":"z"}}`;
      const applied = await instance.as(MASTERS, "PATCH", `${MAPS}/${name}d?fieldManager=m&force=true`, apply, {
        contentType: "application/apply-patch+yaml",
      });
      assert.equal(applied.code, 200, applied.text);
      const other = await instance.admin("POST", `${MAPS}?dryRun=All`, { metadata: { name: "other" } });
      assert.ok(!other.text.includes("polluted"), other.text);
      assert.equal((await instance.as(alice, "GET", MAPS)).code, 403, "no user gained a permission");
    });
  }

  test("keys such as __proto__ in kubeconfigs and configuration files pollute no prototype", async () => {
    await using folder = await createTempFolder();
    for (const key of KEYS) {
      const text =
        `apiVersion: v1\nkind: Config\n${key}: {polluted: yes}\nclusters:\n- name: ${key}\n  cluster: {server: "https://x", ${key}: {polluted: yes}}\nusers: []\ncontexts: []\n`;
      parseKubeconfig(text, "kubeconfig");
      assertPristine();
      await writeFile(folder.join("config.yaml"), `apiVersion: tlsboot/v1alpha1\nkind: Config\n${key}: polluted\n`);
      const { code, stderr } = await runCaptured(["version", "--config", "config.yaml"], { cwd: folder.path });
      assert.equal(code, 2, stderr);
      assert.match(stderr, /unknown key/);
      assertPristine();
    }
  });

  test("a body in gzip is refused without being decompressed", async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, 0x20));
    const packed = await instance.as(MASTERS, "POST", MAPS, "\x1f\x8b", { headers: { "content-encoding": "gzip" } });
    assert.equal(packed.code, 400, packed.text);
    const { codes } = await postOverHttp1(instance.server.port, bomb, {
      "Content-Encoding": "gzip",
      "Content-Type": "application/json",
    });
    assert.equal(codes[0], 403, "a user who may not write is refused before the body is read");
  });

  for (const [fieldValidation, bombs] of [["Ignore", BOMBS], ["Strict", REPETITIONS]] as const) {
    for (const { name, contentType, says, body } of bombs) {
      test(`${name} are refused, and other clients are answered meanwhile`, async () => {
        const sent = body();
        const path = `${MAPS}?fieldValidation=${fieldValidation}`;
        const reply = await withOthersAnswered(
          instance,
          () => instance.as(MASTERS, "POST", path, sent, { contentType }),
        );
        assert.ok(reply.code >= 400 && reply.code < 500, `${reply.code} ${reply.text.slice(0, 300)}`);
        assert.match(reply.message.slice(0, 10_000), says);
        assert.ok(reply.text.length < 5 * sent.length + 10_000, `${reply.text.length} bytes back for ${sent.length}`);
      });
    }
  }

  test("YAML aliases that multiply in configuration files and kubeconfigs are refused", async () => {
    await using folder = await createTempFolder();
    for (
      const { file, head, args } of [
        { file: "config", head: "apiVersion: tlsboot/v1alpha1\nkind: Config", args: ["version", "--config", "config"] },
        {
          file: "policy",
          head: "apiVersion: tlsboot/v1alpha1\nkind: ApprovalPolicy",
          args: ["policy", "explain", "--policy", "./policy", "none"],
        },
        {
          file: "kubeconfig",
          head: "apiVersion: v1\nkind: Config",
          args: ["get", "csr", "--kubeconfig", "kubeconfig"],
        },
      ]
    ) {
      await writeFile(folder.join(file), `${head}\n${laughs(12)}`, { mode: 0o600 });
      const { code, stderr } = await runCaptured(args, { cwd: folder.path });
      assert.notEqual(code, 0);
      assert.match(stderr, /not YAML: aliases repeat too many values/);
    }
  });

  for (const [what, bytes] of HEADS) {
    test(`${what}: other clients are answered meanwhile`, async () => {
      const { codes, text } = await withOthersAnswered(instance, () => sendRaw(instance.server.port, bytes));
      assert.ok(codes.length > 0 && codes.every((code) => code < 500), `${codes} ${text.slice(0, 300)}`);
    });
  }
});
