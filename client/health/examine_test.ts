import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServerAnswer } from "../../core/report/health/machine.ts";
import { Secret } from "../../core/lib/brand.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { type FakeAnswer, startFakeApi } from "../../tests/support/fake_api.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryFiles } from "../../tests/support/memory_files.ts";
import { findWaitingRequest } from "../certificate/credential_store.ts";
import { askServer, findStrayTarget, inspectFolder, listSecretFiles } from "./examine.ts";
import { createTlsTransport } from "../transport/tls_transport.ts";

const NOW = new Date(Math.floor(Date.now() / 1000) * 1000);
const quiet = new AbortController().signal;

function forbidden(user: string): FakeAnswer {
  const message = `selfsubjectreviews.authentication.k8s.io is forbidden: User "${user}" cannot create resource`;
  return failure(403, "Forbidden", message);
}

function failure(status: number, reason: string, message: string): FakeAnswer {
  const body = { apiVersion: "v1", kind: "Status", metadata: {}, status: "Failure", reason, code: status, message };
  return { status, body };
}

for (
  const { name, answer, want } of [
    {
      name: "the user that the server reports",
      answer: { status: 201, body: { metadata: {}, status: { userInfo: { username: "system:node:n1" } } } },
      want: { kind: "accepted", username: "system:node:n1" },
    },
    {
      name: "the user in a refusal of the review",
      answer: forbidden("system:node:n1"),
      want: { kind: "accepted", username: "system:node:n1" },
    },
    {
      name: "a server without such reviews",
      answer: failure(404, "NotFound", "the server could not find the requested resource"),
      want: { kind: "accepted", username: undefined },
    },
    {
      name: "an anonymous user as a refusal",
      answer: forbidden("system:anonymous"),
      want: { kind: "refused", reason: "it treats this machine as an anonymous user", isAnonymous: true },
    },
    {
      name: "401 as a refusal",
      answer: failure(401, "Unauthorized", "Unauthorized"),
      want: { kind: "refused", reason: "Unauthorized" },
    },
    {
      name: "a failing server as unreachable",
      answer: failure(500, "InternalError", "broken"),
      want: { kind: "unreachable", reason: "broken" },
    },
  ] satisfies readonly { name: string; answer: FakeAnswer; want: ServerAnswer }[]
) {
  test(`askServer() reads ${name}`, async () => {
    await using api = await startFakeApi({ now: NOW });
    api.intercept = () => answer;
    const clock = createFakeClock(NOW);
    const connect = () =>
      Promise.resolve(createTlsTransport({ server: api.server, caPem: api.ca.caPem, userAgent: "test", clock }));
    const found = await askServer(connect, clock, quiet);
    const { clock: reading, ...rest } = { clock: undefined, ...found };
    assert.deepEqual(rest, want);
    assert.equal(reading !== undefined, want.kind !== "unreachable");
  });
}

test("listSecretFiles() lists each key once, and inspectFolder() reports who else may write", async () => {
  const files = createMemoryFiles();
  const pem = { kind: "pem", pem: "" } as const;
  const cluster = {
    server: "https://a",
    insecureSkipTlsVerify: false,
    clientCertificate: pem,
    clientKey: { kind: "file", path: "/pki/current.pem" },
  } as const;
  assert.deepEqual(listSecretFiles([], { path: "/kubeconfig", cluster }), ["/pki/current.pem"]);
  const inside = { ...cluster, clientKey: { kind: "pem", pem: new Secret("") } } as const;
  assert.deepEqual(listSecretFiles([], { path: "/kubeconfig", cluster: inside }), ["/kubeconfig"]);
  for (const [mode, want] of [[0o700, "none"], [0o770, "group"], [0o777, "every user"]] as const) {
    files.entries.set("/pki", { kind: "directory", mode });
    assert.equal(await inspectFolder("/pki", files), want);
  }
  assert.equal(await inspectFolder("/none", files), "none");
});

test("findStrayTarget() finds a link that leaves its folder", async () => {
  const files = createMemoryFiles();
  const links = {
    "/pki/in": "/pki/a.pem",
    "/pki/relative": "a.pem",
    "/pki/below": "..data/a.pem",
    "/pki/out": "/old/a.pem",
  };
  for (const [path, target] of Object.entries(links)) files.entries.set(path, { kind: "symlink", target });
  const found = await Promise.all(Object.keys(links).map((path) => findStrayTarget(path, files)));
  assert.deepEqual(found, [undefined, undefined, undefined, "/old/a.pem"]);
  assert.equal(await findStrayTarget("/pki/none", files), undefined);
});

test("findWaitingRequest() reads the note before a key, unless another user may have written it", async () => {
  const key = (await generatePrivateKey("ecdsa-p256")).toPem();
  const text = `# The request of node n1 waits; to continue: tlsboot bootstrap --x\n${key}`;
  const files = createMemoryFiles();
  const readNote = async (
    edit: { readonly mode?: number; readonly isOwnedByOther?: boolean; readonly text?: string },
  ) => {
    files.entries.set("/key", { kind: "file", text, mode: 0o600, ...edit });
    return (await findWaitingRequest("/key", files))?.note;
  };
  assert.deepEqual(await readNote({}), { nodeName: "n1", command: "tlsboot bootstrap --x" });
  assert.equal(await readNote({ mode: 0o644 }), undefined);
  assert.equal(await readNote({ isOwnedByOther: true }), undefined);
  assert.equal(await readNote({ text: key }), undefined);
  assert.equal(await findWaitingRequest("/none", files), undefined);
});
