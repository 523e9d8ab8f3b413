/** Hostile bodies, parameters and files are refused, bounded, and read in linear time. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { writeFile } from "node:fs/promises";
import { before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { parseKubeconfig } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { BOMBS, HEADS, laughs, MAPS, REPETITIONS, sendBody, withOthersAnswered } from "../support/hostile_requests.ts";
import { MASTERS } from "../support/privilege/identities.ts";
import {
  certified,
  createReader,
  describeTestedInstance,
  MERGE,
  READER,
  READER_HEADER,
} from "../support/privilege/tested_instance.ts";
import { type RawAnswer, sendRaw } from "../support/raw_http.ts";
import { runCaptured } from "../support/run_captured.ts";
import { createTempFolder } from "../support/temp.ts";

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
        const reply = await withOthersAnswered(
          instance,
          () => sendBody(instance, fieldValidation, sent, contentType),
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
