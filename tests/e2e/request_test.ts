import assert from "node:assert/strict";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { parseCredentialPair } from "../../core/machine/credential_pair.ts";
import { describeInstance } from "../support/instance_process.ts";

const CLIENT = ["request", "--signer", "kubernetes.io/kube-apiserver-client"];
const PROFILE = `apiVersion: tlsboot/v1alpha1
kind: SigningProfile
signerName: example.com/web
subject:
  commonName: { allowed: ["*"] }
names:
  dns: { allowed: ["*.web.example.com"] }
  ips: { allowed: [10.0.0.0/8] }
  uris: { allowed: ["spiffe://example.com/**"] }
  emails: { allowed: ["*@example.com"] }
usages: { allowed: [digital signature, key encipherment, server auth] }
lifetime: { max: 24h }
`;

describeInstance("tlsboot request", {
  args: ["--profile", "web.yaml"],
  prepare: (folder) => writeFile(folder.join("web.yaml"), PROFILE),
}, (instance) => {
  const { tlsboot } = instance;

  /** Sends a request without waiting, and returns its name. */
  async function ask(...args: readonly string[]): Promise<string> {
    const { stdout } = await instance.succeed(...args, "--no-wait", "-o", "json");
    return JSON.parse(stdout).request.name;
  }

  async function assertPair(out: string, commonName: string): Promise<void> {
    const pair = parseCredentialPair(
      await readFile(instance.folder.join(out, "tls.crt"), "utf8"),
      await readFile(instance.folder.join(out, "tls.key"), "utf8"),
    );
    assert.ok(pair.ok && pair.value.leaf.subject.commonName === commonName);
    assert.equal((await stat(instance.folder.join(out, "tls.key"))).mode & 0o777, 0o600);
  }

  test("tlsboot request waits for approval, and writes certificate and key", async () => {
    const line = [...CLIENT, "--subject", "CN=waits,O=ci", "--duration", "24h", "--out", "waits"];
    await using asking = instance.start(...line);
    const [, name = ""] = await asking.waitFor(/waiting for approval: tlsboot approve (\S+)\n/);
    assert.equal((await tlsboot("approve", name)).code, 0);
    const { code, stdout, stderr } = await asking.finished();
    assert.equal(code, 0, stderr);
    assert.match(
      stdout,
      /^certificate of CN=waits,O=ci issued, valid until \S+Z\ncertificate: waits\/tls\.crt\nkey: waits\/tls\.key\nboth: waits\/tls\.pem\n$/,
    );
    assert.match(
      stderr,
      /^key made: waits\/tls\.key\.new\nasking for: digital signature, client auth\nrequest waits-[0-9a-f]{20} made/,
    );
    await assertPair("waits", "waits");
    assert.match(
      await instance.refuse(1, ...line),
      /there is a certificate already\ntlsboot: hint: renew it in time with --renew-before/,
    );
    const kept = await tlsboot(...line, "--renew-before", "1h");
    assert.deepEqual([kept.code, kept.stderr], [0, ""]);
    assert.match(kept.stdout, /^nothing to do: the certificate of CN=waits,O=ci is valid until \S+Z\n$/);
  });

  test("tlsboot request --no-wait submits the request, and the same command fetches the certificate", async () => {
    const line = [...CLIENT, "--subject", "/CN=later", "--out", "later", "--key-algorithm", "ed25519"];
    const name = await ask(...line);
    assert.match(name, /^later-[0-9a-f]{20}$/);
    assert.deepEqual(await readdir(instance.folder.join("later")), ["tls.key.new"]);
    const pending = await tlsboot(...line, "--no-wait");
    assert.equal(pending.stdout, `request ${name} is pending\n`);
    assert.match(pending.stderr, /taken up again[^]*approve it with: tlsboot approve later-/);
    await tlsboot("approve", name);
    const { stdout } = await instance.succeed(...line, "-o", "json");
    const facts = JSON.parse(stdout);
    assert.deepEqual([facts.outcome, facts.request.adopted, facts.certificate.keyAlgorithm], [
      "issued",
      true,
      "Ed25519",
    ]);
    assert.equal(facts.files.key, instance.folder.join("later/tls.key"));
    await assertPair("later", "later");
  });

  test("tlsboot request ends with 3 for a denial, a failure and a timeout, and keeps its key", async () => {
    const denied = [...CLIENT, "--subject", "CN=denied", "--out", "denied"];
    await tlsboot("deny", await ask(...denied), "--reason", "Policy", "--message", "Not you.");
    assert.match(
      await instance.refuse(3, ...denied),
      /is denied, reason: Policy, message: Not you\. \(denied by user "kubernetes-admin" with tlsboot deny\)\ntlsboot: hint: .*tlsboot delete csr denied-/,
    );
    assert.deepEqual(await readdir(instance.folder.join("denied")), ["tls.key.new"]);

    assert.match(
      await instance.refuse(3, ...CLIENT, "--subject", "CN=nobody", "--out", "nobody", "--timeout", "100ms"),
      /timed out waiting for the condition\ntlsboot: hint: approve it.*nobody-/,
    );
  });

  test("tlsboot request and describe csr report an approved request that no signer issues", async () => {
    const line = ["request", "--signer", "example.org/none", "--subject", "CN=stuck", "--out", "stuck"];
    const name = await ask(...line);
    const approved = await tlsboot("approve", name);
    assert.match(
      approved.stderr,
      /^approved, but not signed yet: stuck-[0-9a-f]+\. If this does not change, make sure that a signer for "example\.org\/none"/,
    );
    const late = await instance.timeOut((running) => running.waitFor(/; waiting for the certificate\n/), ...line);
    assert.deepEqual([late.code, late.stdout], [3, ""], late.stderr);
    assert.match(
      late.stderr,
      /timed out waiting for the condition: it is approved, but no signer for "example\.org\/none" has issued the certificate\ntlsboot: hint: make sure that a signer/,
    );
    assert.doesNotMatch(late.stderr, /hint: approve it/);
    const pending = await tlsboot(...line, "--no-wait");
    assert.match(
      pending.stderr,
      /\nit is approved, but not signed yet: make sure that a signer for "example\.org\/none" runs/,
    );
    assert.doesNotMatch(pending.stderr, /tlsboot approve/);
  });

  test("tlsboot request requests every kind of name from a custom signer, and reports its refusal", async () => {
    const line = ["request", "--signer", "example.com/web", "--subject", "CN=shop", "--key-algorithm", "rsa-2048"];
    const names = ["--dns", "a.web.example.com", "--dns", "b.web.example.com", "--ip", "10.1.2.3"];
    const more = ["--uri", "spiffe://example.com/shop", "--email", "shop@example.com"];
    await tlsboot("approve", await ask(...line, ...names, ...more, "--out", "shop"));
    const { stdout } = await instance.succeed(...line, ...names, ...more, "--out", "shop", "-o", "json");
    const { certificate } = JSON.parse(stdout);
    assert.deepEqual(certificate.dnsNames, ["a.web.example.com", "b.web.example.com"]);
    assert.deepEqual([certificate.ipAddresses, certificate.uris], [["10.1.2.3"], ["spiffe://example.com/shop"]]);
    assert.deepEqual(certificate.emailAddresses, ["shop@example.com"]);
    assert.deepEqual(certificate.keyUsages, ["digitalSignature", "keyEncipherment"]);
    assert.deepEqual(certificate.extendedKeyUsages, ["server auth"]);

    await tlsboot("approve", await ask(...line, "--dns", "elsewhere.example.com", "--out", "elsewhere"));
    assert.match(
      await instance.refuse(3, ...line, "--dns", "elsewhere.example.com", "--out", "elsewhere"),
      /request failed, reason: \S+, message: .*elsewhere\.example\.com/,
    );
    assert.deepEqual(await readdir(instance.folder.join("elsewhere")), ["tls.key.new"]);
  });

  test("tlsboot request --key uses an existing key, and --force renews early", async () => {
    await writeFile(instance.folder.join("old.key"), (await tlsboot("version")).stdout, { mode: 0o600 });
    const line = [...CLIENT, "--subject", "CN=own", "--out", "own"];
    assert.match(
      (await tlsboot(...line, "--key", "old.key")).stderr,
      /cannot use key "old\.key": no private key found/,
    );
    await tlsboot("approve", await ask(...line));
    assert.equal((await tlsboot(...line)).code, 0);
    const key = await readFile(instance.folder.join("own/tls.key"), "utf8");
    const forced = [...line, "--force", "--key", "own/tls.key"];
    await tlsboot("approve", await ask(...forced));
    assert.equal((await tlsboot(...forced)).code, 0);
    assert.equal(await readFile(instance.folder.join("own/tls.key"), "utf8"), key);
  });

  for (
    const [line, want] of [
      ["--signer a.b/c", /the certificate needs a name\n.*--subject CN=name/],
      ["--dns a", /--signer is required/],
      ["--signer a.b/c --subject web", /--subject: .*want CN=name/],
      ["--signer a.b/c --dns a --usage x", /--usage: "x" found, want one of any, cert-sign/],
      ["--signer a.b/c --dns a --duration 1m", /--duration: "1m" found, want a duration from 10m to 596523h/],
      [
        "--signer kubernetes.io/kube-apiserver-client --subject CN=a,O=system:masters",
        /with system:masters group is not allowed/,
      ],
      ["--signer a.b/c --dns a --force --renew-before 1h", /--renew-before and --force exclude each other/],
      ["--signer a.b/c --dns a --duration 1h --renew-before 2h", /--renew-before must be shorter than --duration/],
      ["--signer a.b/c --dns a --key x --key-algorithm ed25519", /--key and --key-algorithm exclude each other/],
    ] as const
  ) {
    test(`tlsboot request ${line} is wrong usage and creates nothing`, async () => {
      assert.match(await instance.refuse(2, "request", "--out", "bad", ...line.split(" ")), want);
      await assert.rejects(stat(instance.folder.join("bad")));
    });
  }

  test("tlsboot request interrupted ends with 130, keeps its key, and continues with the same request", async () => {
    const line = [...CLIENT, "--subject", "CN=stopped", "--out", "stopped"];
    await using asking = instance.start(...line);
    const [, name = ""] = await asking.waitFor(/waiting for approval: tlsboot approve (\S+)\n/);
    asking.kill("SIGINT");
    assert.equal((await asking.finished()).code, 130);
    assert.deepEqual(await readdir(instance.folder.join("stopped")), ["tls.key.new"]);
    await tlsboot("approve", name);
    const { stderr } = await instance.succeed(...line);
    assert.match(stderr, new RegExp(`request ${name} taken up again`));
    await assertPair("stopped", "stopped");
  });
});
