/** Tests revocation on the command line: a stolen laptop, a stolen node, a leaked token, and refusals. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { before, test } from "node:test";
import { encodeKubeconfigEntry } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { Secret } from "../../core/lib/brand.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { Finished } from "../support/child.ts";
import { buildCsr } from "../support/csr_builder.ts";
import { eventually } from "../support/eventually.ts";
import { startFakeApi } from "../support/fake_api.ts";
import { connectWith, describeInstance, whoIs } from "../support/instance_process.ts";
import { grant } from "../support/node_requests.ts";

const signal = new AbortController().signal;
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

describeInstance("tlsboot revoke", { args: ["--auto-approve"] }, (instance) => {
  const { tlsboot, succeed } = instance;
  let pin: string;

  before(async () => {
    [pin = ""] = /sha256:[0-9a-f]{64}/.exec((await succeed("ca", "show")).stdout) ?? [];
  });

  async function createToken(...flags: readonly string[]): Promise<string> {
    return (await succeed("token", "create", ...flags)).stdout.trim();
  }

  /** Bootstraps a machine with a token, into a folder with its name. */
  function bootstrap(node: string, token: string, place = node): Promise<Finished> {
    return tlsboot(
      ...["bootstrap", "--server", instance.url, "--token", token, "--ca-cert-hash", pin],
      ...["--kubeconfig", `${place}/kubeconfig`, "--cert-dir", `${place}/pki`, "--hostname-override", node],
    );
  }

  const readUser = (kubeconfig: string) => whoIs(instance.folder.join(kubeconfig));

  async function submit(name: string): Promise<void> {
    await using admin = await connectWith(instance.folder.join("data/admin.kubeconfig"));
    const body = await buildCsr({
      ...{ name, signerName: "kubernetes.io/kube-apiserver-client", commonName: name, organizations: [] },
    });
    await admin.api.requestJson({ method: "POST", path: CSRS, body }, signal);
  }

  test("a stolen laptop: one command ends its open watch, and other users keep their access", async () => {
    await succeed("kubeconfig", "user", "alice", "--group", "dev");
    await succeed("kubeconfig", "user", "bob", "--group", "dev");
    await using admin = await connectWith(instance.folder.join("data/admin.kubeconfig"));
    await grant(admin.api, "dev", { kind: "Group", name: "dev" }, "cluster-admin");
    await using watching = instance.start("get", "csr", "-w", "--kubeconfig", "alice.kubeconfig");
    await watching.waitFor(/^NAME /m);
    const why = ["--reason", "keyCompromise", "--message", "stolen"];
    const { stdout, stderr } = await succeed("revoke", "user/alice", ...why);
    assert.equal(stdout, "user/alice revoked: 1 certificate affected\n");
    assert.match(
      stderr,
      /^to let the user in again with new certificates, .*\n.* --subject CN=alice .*\n {2}tlsboot unrevoke user\/alice\n$/,
    );
    // Otherwise the watch would continue for half an hour.
    assert.equal((await watching.finished()).code, 1);
    assert.match(watching.stderr(), /Unauthorized|does not accept/);
    assert.deepEqual([await readUser("alice.kubeconfig"), await readUser("bob.kubeconfig")], ["401", "bob"]);
    const revocations = await succeed("get", "revocations", "-o", "wide");
    assert.match(revocations.stdout, /^NAME .*\nuser:alice +keyCompromise +kubernetes-admin .* stolen\n$/);
    const listed = async () => (await succeed("get", "certs", "--revoked", "--subject", "alice", "-o", "name")).stdout;
    await eventually("the register has the revocation", async () => (await listed()) !== "" || undefined);
    assert.match(
      (await succeed("describe", "certificate", (await listed()).trim())).stdout,
      /\nStatus: +revoked \(keyCompromise\)[^]*\n {2}Message: +stolen\n/,
    );
    assert.equal((await tlsboot("kubeconfig", "user", "alice", "--force")).code, 1, "no new certificate");
    await writeFile(
      instance.folder.join("stolen.kubeconfig"),
      await readFile(instance.folder.join("alice.kubeconfig"), "utf8"),
    );
    const old = (await succeed("get", "certificates", "--subject", "CN=alice", "-o", "name")).stdout.trimEnd().split(
      "\n",
    );
    await succeed("revoke", ...old);
    assert.equal(
      (await succeed("unrevoke", "user/alice")).stdout,
      "user/alice is no longer revoked: 0 certificates work again\n",
    );
    await succeed("kubeconfig", "user", "alice", "--force");
    assert.deepEqual([await readUser("alice.kubeconfig"), await readUser("stolen.kubeconfig")], ["alice", "401"]);
  });

  test("a stolen node: its certificate and its renewal are refused, and a new token gives its name to a replacement", async () => {
    assert.equal((await bootstrap("n1", await createToken("--node", "n1", "--approve"))).code, 0);
    assert.equal(await readUser("n1/kubeconfig"), "system:node:n1");
    const { stdout, stderr } = await succeed("revoke", "node/n1", "--reason", "keyCompromise");
    assert.equal(stdout, "node/n1 revoked: 1 certificate affected\n");
    assert.equal(stderr, "to give the name to a replacement, make a token for it: tlsboot token create --node n1\n");
    assert.equal(await readUser("n1/kubeconfig"), "401");
    const other = await bootstrap("n1", await createToken(), "thief");
    assert.notEqual(other.code, 0, "another token does not get the name");
    assert.equal((await bootstrap("n1", await createToken("--node", "n1", "--approve"), "replacement")).code, 0);
    assert.deepEqual([await readUser("replacement/kubeconfig"), await readUser("n1/kubeconfig")], [
      "system:node:n1",
      "401",
    ]);
    assert.match(
      await instance.refuse(1, "revoke", "node/n1"),
      /cannot revoke "node\/n1": it has been revoked since \S+Z by kubernetes-admin \(keyCompromise\)/,
    );
  });

  test("a leaked token is deleted, its certificates are listed, and on request they are revoked", async () => {
    const token = await createToken();
    const id = token.slice(0, 6);
    const caPem = await readFile(instance.folder.join("data/pki/ca.crt"), "utf8");
    const cluster = { server: instance.url, certificateAuthorityData: caPem };
    const holder = encodeKubeconfigEntry("leaked", { cluster, userName: "holder", user: { token: new Secret(token) } });
    await writeFile(instance.folder.join("token.kubeconfig"), holder);
    assert.equal(await readUser("token.kubeconfig"), `system:bootstrap:${id}`);
    for (const node of ["n2", "n3"]) assert.equal((await bootstrap(node, token)).code, 0);
    const first = await succeed("revoke", `token/${id}`, "--reason", "keyCompromise");
    assert.match(
      first.stdout,
      new RegExp(
        `^token/${id} revoked and deleted: the 2 certificates that were requested with it still work\nSERIAL +SUBJECT +ADDRESS +ISSUED +STATUS\n` +
          "[0-9a-f]{12} +\\S*CN=system:node:n2\\S* +127\\.0\\.0\\.1 +\\S+ +valid\n" +
          "[0-9a-f]{12} +\\S*CN=system:node:n3\\S* +127\\.0\\.0\\.1 +\\S+ +valid\n$",
      ),
    );
    assert.match(
      first.stderr,
      new RegExp(`^to revoke what was requested with it too: tlsboot revoke token/${id} --certificates\n`),
    );
    assert.doesNotMatch((await succeed("token", "list")).stdout, new RegExp(id));
    assert.equal(await readUser("n2/kubeconfig"), "system:node:n2");
    assert.equal(await readUser("token.kubeconfig"), "401");
    const second = await succeed("revoke", `token/${id}`, "--certificates");
    assert.match(second.stdout, new RegExp(`^token/${id} revoked: 2 certificates affected\n`));
    assert.deepEqual([await readUser("n2/kubeconfig"), await readUser("n3/kubeconfig")], ["401", "401"]);
  });

  test("tlsboot revoke csr denies a pending request, and revokes the certificate of an issued or deleted one", async () => {
    await submit("pending");
    assert.equal(
      (await succeed("revoke", "csr/pending", "--message", "Unknown machine.")).stdout,
      "csr/pending denied: it was pending, so it has no certificate\n",
    );
    await using admin = await connectWith(instance.folder.join("data/admin.kubeconfig"));
    const denied = await admin.api.requestObject<CertificateSigningRequest>(
      { method: "GET", path: `${CSRS}/pending` },
      signal,
    );
    assert.deepEqual(denied.status.conditions?.map(({ type, reason }) => [type, reason]), [["Denied", "Revoked"]]);
    assert.match(
      await instance.refuse(1, "revoke", "csr/pending", "csr/none"),
      /"csr\/pending": it was denied, so it has no certificate\n[^]*"csr\/none": neither a request nor a certificate/,
    );
    for (const name of ["issued", "deleted"]) {
      await submit(name);
      // approve warns because all requests of this test have the same key.
      await succeed("approve", name, "--yes");
    }
    await succeed("delete", "csr", "deleted");
    const { stdout } = await succeed("revoke", "csr/issued", "csr/deleted");
    assert.equal(stdout, "csr/issued revoked: 1 certificate affected\ncsr/deleted revoked: 1 certificate affected\n");
    await instance.fail(2, "unrevoke", "csr/issued");
  });

  test("the revocation of a certificate is final unless its reason is certificateHold", async () => {
    await succeed("kubeconfig", "user", "carol");
    const { items } = JSON.parse((await succeed("get", "certs", "--subject", "carol", "-o", "json")).stdout);
    const serial: string = items[0].spec.serialNumber;
    assert.match(
      (await succeed("revoke", serial.slice(0, 12), "--reason", "certificateHold")).stderr,
      /kubeconfig user carol --force/,
    );
    assert.equal(await readUser("carol.kubeconfig"), "401");
    assert.equal(
      (await succeed("unrevoke", serial.slice(0, 12))).stdout,
      `${serial.slice(0, 12)} is no longer revoked: 1 certificate works again\n`,
    );
    assert.equal(await readUser("carol.kubeconfig"), "carol");
    await succeed("revoke", serial);
    assert.match(
      await instance.refuse(1, "unrevoke", serial),
      /only a certificate on hold can be restored\ntlsboot: hint: issue a new certificate/,
    );
    assert.match((await tlsboot("unrevoke", "user/zoe")).stderr, /"user\/zoe": it is not revoked/);
  });

  test("on a terminal, revoke shows what it revokes, and asks for confirmation", async () => {
    await succeed("kubeconfig", "user", "dora");
    const no = await instance.typeAt("n\n", "revoke", "user/dora");
    assert.deepEqual([no.code, no.stdout], [3, ""]);
    assert.match(
      no.stderr,
      /^user\/dora: 1 certificate will stop working, and no new one is issued for the user\n {2}[0-9a-f]{12} {2}CN=dora, until \S+\nRevoke it\? \[y\/N\] nothing is revoked\n$/,
    );
    assert.equal(await readUser("dora.kubeconfig"), "dora");
    assert.equal((await instance.typeAt("y\n", "revoke", "user/dora")).code, 0);
    assert.equal(await readUser("dora.kubeconfig"), "401");
  });

  for (
    const { target, want } of [
      {
        target: "user/nobody",
        want: /the register has no certificate for it\n.*with --yes it is revoked anyway/,
      },
      { target: "user/system:serviceaccount:default:app", want: /a service account has tokens instead: with --yes/ },
      { target: "node/n99", want: /the register has no certificate for it/ },
      { target: "token/zzzzzz", want: /the register has no certificate for it/ },
      { target: "dddddddd", want: /cannot find certificate "dddddddd"/ },
      {
        target: "user/kubernetes-admin",
        want: /it covers "kubernetes-admin", the user of this command\n.*hint: .*tlsboot kubeconfig admin --user NAME/,
      },
      { target: "group/system:masters", want: /it covers "kubernetes-admin", the user of this command/ },
    ]
  ) {
    test(`tlsboot revoke ${target} is refused without --yes, and the refusal of a second target is reported too`, async () => {
      const stderr = await instance.refuse(1, "revoke", target, "user/refused");
      assert.match(stderr, want);
      assert.match(stderr, /cannot revoke "user\/refused"/);
    });
  }

  test("the CA, the server's own certificate and the administrators cannot be revoked, and the message suggests an alternative", async () => {
    const [, caSerial = ""] =
      /Serial number: +([0-9a-f]+)/i.exec((await succeed("inspect", "data/pki/ca.crt")).stdout) ??
        [];
    const serving = await succeed("get", "certificates", "--signer", "serving", "-o", "csv");
    const servingSerial = serving.stdout.split("\n")[1]?.split(",")[0] ?? "";
    assert.match(
      await instance.refuse(1, "revoke", servingSerial),
      /it is the serving certificate of a server: delete its files in pki\/ and restart the server/,
    );
    const stderr = await instance.refuse(1, "revoke", "--yes", caSerial, "group/system:masters");
    assert.match(stderr, /it is the certificate of a CA: .*Replace the CA/);
    assert.match(
      stderr,
      /cannot revoke "group\/system:masters": it covers "kubernetes-admin".*\n.*by its serial number/,
    );
  });

  test("with another API server, requests are denied, tokens are deleted, and the message suggests alternatives", async () => {
    await using api = await startFakeApi();
    const pending = { ...await buildCsr({ name: "pending" }), status: {} };
    const deleted: string[] = [];
    api.intercept = ({ method, path }) => {
      if (path.startsWith("/apis/tlsboot")) return { status: 404, body: "404 page not found\n" };
      if (method === "DELETE") deleted.push(path);
      if (path === `${CSRS}/pending`) return { status: 200, body: pending };
      if (path === CSRS) return { status: 200, body: { metadata: {}, items: [] } };
      return { status: path.includes("selfsubjectreviews") ? 404 : 200, body: { metadata: {}, status: {} } };
    };
    await writeFile(instance.folder.join("other.kubeconfig"), api.kubeconfig);
    const targets = ["csr/pending", "token/abcdef", "node/n1"];
    const { code, stdout, stderr } = await tlsboot("revoke", "--kubeconfig", "other.kubeconfig", ...targets);
    assert.equal(code, 1);
    assert.equal(stdout, "csr/pending denied: it was pending, so it has no certificate\ntoken/abcdef deleted\n");
    assert.deepEqual(deleted, ["/api/v1/namespaces/kube-system/secrets/bootstrap-token-abcdef"]);
    assert.match(
      stderr,
      /cannot revoke "node\/n1": the server has no revocations.* accepts a client certificate until it expires\n.*approver.*tlsboot ca crl --revoke/,
    );
  });
});
