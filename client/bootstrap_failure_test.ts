import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError, type ErrorCode } from "../core/errors.ts";
import type { CertificateSigningRequest } from "../core/kube/kinds/certificates_v1.ts";
import { generatePrivateKey } from "../core/pki/keys/keys.ts";
import {
  CA_FILE,
  condition,
  CSRS,
  CURRENT,
  type Fixture,
  fixture,
  HOUR_MS,
  KEY,
  NOW,
} from "../tests/support/bootstrap_fixture.ts";
import { failure } from "../tests/support/fake_api.ts";
import { createSkippingClock, until } from "../tests/support/fake_clock.ts";
import { createIssuingCa } from "../tests/support/issuing_ca.ts";
import { bootstrap, type BootstrapOptions } from "./bootstrap.ts";

interface Case {
  readonly name: string;
  readonly arrange: (f: Fixture) => void;
  readonly code: ErrorCode;
  readonly message: RegExp;
  readonly hint: RegExp;
}

const REFUSED: readonly Case[] = [
  {
    name: "denied",
    arrange: ({ api }) => {
      const conditions = [condition("Approved", "A"), condition("Denied", "Policy", "not on the list")];
      api.onCreate = (csr) => void api.put({ ...csr, status: { conditions } });
    },
    code: "csr_denied",
    message: /^certificate signing request is denied, reason: Policy, message: not on the list$/,
    hint: /tlsboot delete csr node-csr-/,
  },
  {
    name: "failed",
    arrange: ({ api }) => {
      const conditions = [condition("Failed", "Signer", "no")];
      api.onCreate = (csr) => void api.put({ ...csr, status: { conditions } });
    },
    code: "csr_failed",
    message: /^certificate signing request failed, reason: Signer, message: no$/,
    hint: /tlsboot describe csr/,
  },
  {
    name: "deleted",
    arrange: ({ api }) => {
      api.onCreate = async (csr) => {
        await api.arrival(/watch=true/);
        await until(() => api.openWatches > 0);
        api.remove(csr.metadata.name ?? "");
      };
    },
    code: "csr_deleted",
    message: /^csr "node-csr-.*" was deleted$/,
    hint: /run the command again/,
  },
  {
    name: "deleted before it is watched",
    arrange: ({ api }) => {
      api.onCreate = (csr) => void api.remove(csr.metadata.name ?? "");
    },
    code: "csr_deleted",
    message: /^csr "node-csr-.*" was deleted$/,
    hint: /run the command again/,
  },
  {
    name: "replaced",
    arrange: ({ api }) => {
      api.onCreate = (csr) => {
        api.remove(csr.metadata.name ?? "");
        api.put({ ...csr, metadata: { ...csr.metadata, uid: "other" } });
      };
    },
    code: "csr_deleted",
    message: /^csr "node-csr-.*" changed UIDs$/,
    hint: /run the command again/,
  },
  {
    name: "refused for its token",
    arrange: ({ api }) => {
      api.intercept = () => failure(401, "Unauthorized", "Unauthorized");
    },
    code: "unauthorized",
    message: /^cannot create certificate signing request: Unauthorized$/,
    hint: /token is wrong, has expired or is used up.*tlsboot token create/,
  },
  {
    name: "refused for its rights",
    arrange: ({ api }) => {
      api.intercept = ({ method }) => method === "POST" ? failure(403, "Forbidden", "no rights") : undefined;
    },
    code: "access_denied",
    message: /^cannot create certificate signing request: no rights$/,
    hint: /system:node-bootstrapper/,
  },
  {
    name: "refused because its node is revoked",
    arrange: ({ api }) => {
      const why =
        'the requested subject: node "n1" is revoked since 2026-11-28T02:00:00Z (keyCompromise: the token leaked)';
      const message = `certificatesigningrequests.certificates.k8s.io "x" is forbidden: ${why}`;
      api.intercept = ({ method }) => method === "POST" ? failure(403, "Forbidden", message) : undefined;
    },
    code: "access_denied",
    message: /node "n1" is revoked since/,
    hint: /^to accept it again, an administrator ends the revocation: tlsboot unrevoke node\/n1$/,
  },
  {
    name: "refused for its algorithm",
    arrange: ({ api }) => {
      api.intercept = ({ method, body }) => {
        if (method !== "POST") return undefined;
        const { spec: { request } } = body as CertificateSigningRequest;
        const why = "x509: cannot verify signature: algorithm unimplemented";
        return failure(422, "Invalid", `spec.request: Invalid value: "${request}": ${why}`);
      };
    },
    code: "invalid",
    message:
      /^cannot create certificate signing request: spec\.request: Invalid value: "LS0tLS1CRUdJTiBD…": x509: cannot verify signature: algorithm unimplemented$/,
    hint: /the feature MLDSA of the setting featureGates; .*remove the kept one/,
  },
  {
    name: "named like another request",
    arrange: ({ api }) => {
      api.intercept = ({ method }) => {
        if (method === "POST") return failure(409, "AlreadyExists", "there");
        return method === "GET"
          ? { status: 200, body: { metadata: { name: "x" }, spec: { request: null } } }
          : undefined;
      };
    },
    code: "csr_incompatible",
    message: /^retrieved csr is not compatible: unable to parse new csr: /,
    hint: /tlsboot delete csr node-csr-/,
  },
  {
    name: "given a certificate of another key",
    arrange: ({ api, issue }) => {
      api.onCreate = async (csr) =>
        await issue(csr, { publicKeyDer: (await generatePrivateKey("ecdsa-p256")).publicKeyDer() });
    },
    code: "csr_failed",
    message: /^cannot use the certificate of "node-csr-.*": private key does not match public key$/,
    hint: /check the signer/,
  },
  {
    name: "given a certificate of another node",
    arrange: ({ api, issue }) => {
      const subject = { commonName: "system:node:n2", organizations: ["system:nodes"] };
      api.onCreate = (csr) => issue(csr, { subject });
    },
    code: "csr_failed",
    message: /it is for ".*n2.*", but the request was for ".*n1/,
    hint: /check the signer/,
  },
  {
    name: "given a certificate that is not valid yet",
    arrange: ({ api, issue }) => {
      api.onCreate = (csr) => issue(csr, { notBefore: new Date(NOW.getTime() + HOUR_MS) });
    },
    code: "clock_skew",
    message: /it is valid from .*Z to .*Z, but this machine's clock says .*Z, the server's .*Z$/,
    hint: /set this machine's clock/,
  },
  {
    name: "given a certificate that has expired",
    arrange: ({ api, issue }) => {
      const [notBefore, notAfter] = [new Date(NOW.getTime() - 2 * HOUR_MS), new Date(NOW.getTime() - HOUR_MS)];
      api.onCreate = (csr) => issue(csr, { notBefore, notAfter });
    },
    code: "clock_skew",
    message: /but this machine's clock says/,
    hint: /set this machine's clock/,
  },
];

for (const { name, arrange, code, message, hint } of REFUSED) {
  test(`bootstrap() fails with ${code} when ${name}, and keeps its key`, async () => {
    await using f = await fixture();
    arrange(f);
    await assert.rejects(f.run(), (error) => {
      assert.ok(error instanceof AppError);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.match(error.hint ?? "", hint);
      return true;
    });
    assert.ok(f.files.text(KEY));
    assert.equal(f.files.text("/node/kubeconfig"), undefined);
    assert.equal(f.files.text(CURRENT), undefined);
  });
}

test("bootstrap() reports a clock that differs from the server's as the reason", async () => {
  await using f = await fixture();
  f.api.onCreate = (csr) => f.issue(csr);
  f.clock.jump(48 * HOUR_MS);
  await assert.rejects(f.run(), (error) => error instanceof AppError && error.code === "clock_skew");
  const warning = f.progress.find((event) => event.kind === "clockSkew");
  assert.ok(warning?.kind === "clockSkew");
  const skewMs = warning.skew.ourTime.getTime() - warning.skew.serverTime.getTime();
  assert.ok(Math.abs(skewMs - 48 * HOUR_MS) < 600_000);
  // The next run finds its request with a certificate that seems expired: the clock is the reason again.
  await assert.rejects(f.run(), (error) => error instanceof AppError && error.code === "clock_skew");
});

test("bootstrap() times out without an approval, and explains how to approve", async () => {
  await using f = await fixture();
  const run = assert.rejects(f.run(), (error) => {
    assert.ok(error instanceof AppError);
    assert.equal(error.code, "timeout");
    assert.match(error.message, /^cannot get a certificate for "node-csr-.*": timed out waiting for the condition$/);
    assert.match(error.hint ?? "", /tlsboot approve node-csr-/);
    return true;
  });
  await f.api.arrival(/watch=true/);
  await f.clock.advance(3_600_000);
  await run;
});

test("bootstrap() sends nothing to a server with another CA", async () => {
  await using f = await fixture();
  const other = await createIssuingCa(NOW, "other");
  f.files.entries.set(CA_FILE, { kind: "file", text: other.caPem, mode: 0o600 });
  await assert.rejects(f.run(), (error) => error instanceof AppError && error.code === "tls_untrusted");
  assert.deepEqual(f.api.requests, []);
});

/**
 * Options with a clock that skips the pauses between attempts, but not the second for an answer or the hour for an
 * approval.
 */
function withoutPauses(f: Fixture): BootstrapOptions {
  return { ...f.options, clock: createSkippingClock(f.clock, 1_500, 60_000) };
}

test("bootstrap() waits a minute for a server that is down, then reports it", async () => {
  await using f = await fixture();
  const path = "/node/bootstrap.kubeconfig";
  const text = f.files.text(path)!.replace(f.api.server, "https://127.0.0.1:1");
  f.files.entries.set(path, { kind: "file", text, mode: 0o600 });
  await assert.rejects(bootstrap(withoutPauses(f), f.abort.signal), (error) => {
    assert.ok(error instanceof AppError);
    assert.equal(error.code, "unreachable");
    assert.match(error.message, /^cannot create certificate signing request: cannot reach ".*": connection refused$/);
    return true;
  });
  assert.ok(f.logger.messages("warn").includes("Error waiting for apiserver to come up"));
  const waitedMs = f.clock.now().getTime() - NOW.getTime();
  assert.ok(waitedMs >= 60_000 && waitedMs < 63_000, String(waitedMs));
});

test("bootstrap() waits for a server that starts late", async () => {
  await using f = await fixture();
  let refused = 0;
  f.api.intercept = () => refused++ < 2 ? { status: 500, body: "starting" } : undefined;
  f.api.onCreate = (csr) => f.issue(csr);
  assert.equal((await bootstrap(withoutPauses(f), f.abort.signal)).kind, "issued");
  assert.deepEqual(f.api.requests.slice(0, 4), ["GET /healthz", "GET /healthz", "GET /healthz", `POST ${CSRS}`]);
});

for (
  const { name, edit, code, message } of [
    {
      name: "no bootstrap kubeconfig",
      edit: { "/node/bootstrap.kubeconfig": undefined },
      code: "kubeconfig_invalid",
      message: /^unable to load bootstrap kubeconfig: cannot read kubeconfig ".*": file does not exist$/,
    },
    {
      name: "a malformed bootstrap kubeconfig",
      edit: { "/node/bootstrap.kubeconfig": "a" },
      code: "kubeconfig_invalid",
      message: /^unable to load bootstrap kubeconfig: cannot parse kubeconfig /,
    },
    {
      name: "an empty key file",
      edit: { [KEY]: "" },
      code: "key_invalid",
      message: /^cannot use the key in ".*kubelet-client\.key\.tmp": /,
    },
    {
      name: "no CA file",
      edit: { [CA_FILE]: undefined },
      code: "kubeconfig_invalid",
      message: /^cannot read "\/node\/ca\.crt": file does not exist$/,
    },
    {
      name: "a CA file without a CA",
      edit: { [CA_FILE]: "x" },
      code: "ca_invalid",
      message: /as certificate authority/,
    },
  ] satisfies { name: string; edit: Record<string, string | undefined>; code: ErrorCode; message: RegExp }[]
) {
  test(`bootstrap() refuses ${name} before it sends a request`, async () => {
    await using f = await fixture();
    for (const [path, text] of Object.entries(edit)) {
      if (text === undefined) f.files.entries.delete(path);
      else f.files.entries.set(path, { kind: "file", text, mode: 0o600 });
    }
    await assert.rejects(f.run(), (error) => {
      assert.ok(error instanceof AppError);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    });
    assert.deepEqual(f.api.requests, []);
  });
}

for (
  const failOn of [/^createExclusive .*key\.tmp/, /^writeAtomic .*\.pem/, /^rename/, /^writeAtomic \/node\/kubeconfig/]
) {
  test(`bootstrap() recovers from a full disk at ${failOn.source}`, async () => {
    await using f = await fixture();
    f.api.onCreate = (csr) => f.issue(csr);
    f.files.failOn = failOn;
    await assert.rejects(f.run(), (error) => error instanceof AppError && error.code === "io");
    f.files.failOn = undefined;
    const outcome = await f.run();
    assert.equal(outcome.kind, "issued");
    assert.equal(f.api.objects.size, 1, "the same request serves");
    assert.equal((await f.run()).kind, "alreadyValid");
  });
}

for (
  const { name, put } of [
    {
      name: "a file in place of its link",
      put: (f: Fixture) => void f.files.entries.set(CURRENT, { kind: "file", text: "mine", mode: 0o600 }),
    },
    {
      name: "a folder in place of its kubeconfig",
      put: (f: Fixture) => {
        f.files.entries.set("/node/kubeconfig", { kind: "directory", mode: 0o755 });
      },
    },
  ]
) {
  test(`bootstrap() requests nothing with ${name}`, async () => {
    await using f = await fixture();
    put(f);
    await assert.rejects(f.run(), (error) => error instanceof AppError && ["file_exists", "io"].includes(error.code));
    assert.deepEqual(f.api.requests, []);
    assert.equal(f.files.mode(KEY), undefined);
  });
}

test("bootstrap() reports a kubeconfig that it may not read, with its path once", async () => {
  await using f = await fixture();
  const hint = "run as a user with the permission, or choose another path";
  const stat = (path: string) =>
    path === f.options.kubeconfigPath
      ? Promise.reject(new AppError("io", `cannot read "${path}": permission denied`, { hint }))
      : f.files.stat(path);
  await assert.rejects(bootstrap({ ...f.options, files: { ...f.files, stat } }, f.abort.signal), (error) => {
    assert.ok(error instanceof AppError);
    assert.equal(error.message, 'cannot read "/node/kubeconfig": permission denied');
    assert.equal(error.hint, hint);
    return true;
  });
  assert.deepEqual(f.api.requests, []);
});
