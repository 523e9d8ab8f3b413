/** Tests the commands for requests, tokens and objects against a running server: their output and errors. */
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createSystemClock } from "../../cli/system.ts";
import { spawnTlsbootToEnd } from "../support/child.ts";
import { buildCsr, type CsrOptions } from "../support/csr_builder.ts";
import { connectWith, describeInstance } from "../support/instance_process.ts";
import { runCaptured } from "../support/run_captured.ts";

const signal = new AbortController().signal;
const clock = createSystemClock();
describeInstance("commands of the API", {}, (instance) => {
  const { tlsboot } = instance;

  async function submit(options: CsrOptions): Promise<void> {
    await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
    const path = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    await admin.api.requestJson({ method: "POST", path, body: await buildCsr(options) }, signal);
  }

  test("a kubeconfig without a CA trusts only the machine's roots", async () => {
    const admin = await readFile(instance.folder.join("data/admin.kubeconfig"), "utf8");
    await writeFile(
      instance.folder.join("rootless.kubeconfig"),
      admin.replace(/^ +certificate-authority-data: .*\n/m, ""),
    );
    await mkdir(instance.folder.join("none"));
    await instance.succeed("ca", "init", "--data-dir", "other");
    const ask = (roots: string) =>
      spawnTlsbootToEnd(["get", "csr", "-l", "none=such", "--kubeconfig", "rootless.kubeconfig"], {
        cwd: instance.folder.path,
        env: { SSL_CERT_FILE: instance.folder.join(roots), SSL_CERT_DIR: instance.folder.join("none") },
      });
    assert.deepEqual(await ask("data/pki/ca.crt"), { code: 0, stdout: "", stderr: "No resources found\n" });
    const refused = await ask("other/pki/ca.crt");
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /its serving certificate is signed by an unknown authority/);
  });

  test("tlsboot get csr prints its own table or kubectl's, and reports an empty list", async () => {
    assert.deepEqual(await tlsboot("get", "csr", "-l", "none=such"), {
      code: 0,
      stdout: "",
      stderr: "No resources found\n",
    });
    const dnsNames = ["web.example.com", "www.example.com"];
    await submit({ name: "table-1", signerName: "example.com/table", expirationSeconds: 3600 });
    await submit({ name: "table-long-name", signerName: "example.com/table", commonName: "web", dnsNames });
    const list = async (...flags: readonly string[]) => {
      const selected = ["--field-selector", "spec.signerName=example.com/table"];
      const { stdout } = await instance.succeed("get", "csr", ...selected, ...flags);
      return stdout.replace(/\b\d+s +/g, "5s    ");
    };
    assert.equal(
      await list(),
      "NAME              FOR                  SIGNER              REQUESTED BY       AGE   EXPIRES   STATE\n" +
        "table-1           system:node:n1       example.com/table   kubernetes-admin   5s    <none>    pending\n" +
        "table-long-name   web.example.com +1   example.com/table   kubernetes-admin   5s    <none>    pending\n",
    );
    assert.equal(
      await list("-o", "kubectl"),
      "NAME              AGE   SIGNERNAME          REQUESTOR          REQUESTEDDURATION   CONDITION\n" +
        "table-1           5s    example.com/table   kubernetes-admin   60m                 Pending\n" +
        "table-long-name   5s    example.com/table   kubernetes-admin   <none>              Pending\n",
    );
    assert.match(await list("-o", "wide"), /^NAME +FOR .* STATE +SIGNERNAME +REQUESTOR +REQUESTEDDURATION +CONDITION/);
    assert.equal(
      await list("-o", "name", "--sort-by", ".spec.expirationSeconds"),
      "certificatesigningrequest.certificates.k8s.io/table-long-name\n" +
        "certificatesigningrequest.certificates.k8s.io/table-1\n",
    );
  });

  test("tlsboot get csr --pending and --sort-by choose and order requests in every format", async () => {
    const all = "spec.signerName=example.com/order";
    for (const name of ["order-2", "order-10", "order-1"]) await submit({ name, signerName: "example.com/order" });
    assert.equal((await tlsboot("deny", "order-1")).code, 0);
    const list = async (...flags: readonly string[]) =>
      (await tlsboot("get", "csr", "--field-selector", all, "--no-headers", ...flags)).stdout.trimEnd().split("\n")
        .map((line) => line.split(" ")[0]?.replace(/^.*\//, ""));
    assert.deepEqual(await list("--sort-by", "name"), ["order-1", "order-2", "order-10"]);
    assert.deepEqual(await list("--sort-by", "{.metadata.name}", "-o", "kubectl"), ["order-1", "order-10", "order-2"]);
    assert.deepEqual(await list("--sort-by", "state", "-o", "name"), ["order-1", "order-10", "order-2"]);
    for (const format of ["name", "wide", "kubectl"]) {
      assert.deepEqual(await list("--pending", "-o", format), ["order-10", "order-2"], format);
    }
    assert.match(
      await instance.refuse(2, "get", "csr", "--sort-by", "colour"),
      /no column has that name\n.*use one of name, for, signer, requested-by, age, expires, state,/,
    );
    assert.match(
      (await tlsboot("get", "csr", "--sort-by", ".spec.colour")).stderr,
      /no object in the list has that field/,
    );
    assert.equal((await tlsboot("get", "csr", "order-1", "--pending")).code, 2);
  });

  test("tlsboot get csr on a terminal has colours, fits the width, and shows short names that every command accepts", async () => {
    const signerName = "example.com/terminal-signer-with-a-long-name";
    const [first, second] = [`node-csr-terma${"A".repeat(38)}`, `node-csr-termb${"B".repeat(38)}`];
    for (const name of [first, second]) await submit({ name, signerName, metadata: { labels: { test: "terminal" } } });
    const terminal = { cwd: instance.folder.path, clock, env: { TLSBOOT_DATA_DIR: "data" }, isTerminal: true };
    const shown = await runCaptured(["get", "csr", "-l", "test=terminal"], { ...terminal, columns: 80 });
    assert.equal(shown.code, 0);
    const [heading = "", ...rows] = shown.stdout.trimEnd().split("\n");
    assert.match(heading, /^NAME +FOR +SIGNER +REQUESTED BY +AGE +EXPIRES +STATE$/);
    // deno-lint-ignore no-control-regex -- the colour of the state
    assert.match(rows[0] ?? "", /^node-csr-terma +system:node:\S+ +example\.com\S*… .* \x1b\[33mpending\x1b\[0m$/);
    // deno-lint-ignore no-control-regex -- colours have no width
    for (const row of rows) assert.ok(row.replace(/\x1b\[\d+m/g, "").length <= 80, row);
    assert.equal((await tlsboot("policy", "explain", "node-csr-terma")).code, 3);
    for (const args of [["get", "csr", "-o", "name"], ["describe", "csr"], ["approve"], ["delete", "csr"]]) {
      const { stdout } = await instance.succeed(...args, "node-csr-terma");
      assert.ok(stdout.includes(first), args.join(" "));
    }
    assert.match(
      (await tlsboot("offline", "export", "node-csr-termb")).stderr,
      /cannot export "node-csr-termb": it is not approved/,
    );
    assert.equal((await tlsboot("revoke", "csr/node-csr-termb", "--yes")).code, 0);
    assert.match((await tlsboot("get", "csr", second)).stdout, / denied$/m);
  });

  test("tlsboot get csr escapes terminal control characters in the names of a request", async () => {
    const commonName = "evil\x1b[31m\u202e\nNAME";
    await submit({ name: "hostile", signerName: "kubernetes.io/kube-apiserver-client", commonName, organizations: [] });
    const shown = await instance.typeAt("", "get", "csr", "hostile", "--no-headers");
    assert.equal(shown.code, 0);
    assert.match(shown.stdout, /^hostile +user evil\^\[\[31m\\u202e\.\.\. +API client .*\n$/);
  });

  test("tlsboot get csr --pending -w shows new requests and their decisions", async () => {
    const signer = ["--field-selector", "spec.signerName=example.com/live"];
    await submit({ name: "live-old", signerName: "example.com/live" });
    await instance.succeed("deny", "live-old");
    await using watching = instance.start("get", "csr", "--pending", "-w", "--no-headers", ...signer);
    await submit({ name: "live-new", signerName: "example.com/live" });
    await watching.waitFor(/^live-new .* pending$/m);
    await instance.succeed("deny", "live-new");
    await watching.waitFor(/^live-new .* denied$/m);
    watching.kill("SIGINT");
    const { code, stdout } = await watching.finished();
    assert.equal(code, 130);
    assert.doesNotMatch(stdout, /live-old/);
  });

  test("a short name that is ambiguous, or is another request's full name, decides no request", async () => {
    const names = [`node-csr-twice${"A".repeat(38)}`, `node-csr-twice${"B".repeat(38)}`];
    for (const name of names) await submit({ name, signerName: "example.com/twice" });
    for (const args of [["approve"], ["deny"], ["describe", "csr"], ["get", "csr"], ["delete", "csr"]]) {
      assert.match(
        await instance.refuse(1, ...args, "node-csr-twice"),
        /"node-csr-twice" means more than one request:\n.*twiceA.*\n.*twiceB/,
      );
    }
    // A client chose a name that a person would type for another request.
    const [honest, dishonest] = [`node-csr-honst${"A".repeat(38)}`, "node-csr-honst"];
    await submit({ name: honest, signerName: "example.com/twice" });
    const commonName = "m\n  csr/forged: good";
    await submit({ name: dishonest, signerName: "example.com/twice", commonName });
    const { stderr } = await tlsboot("approve", dishonest);
    assert.match(stderr, /means more than one request:\n.* csr\/node-csr-honst: m\\u000a {2}csr\/forged: good from /);
    assert.equal((await tlsboot("deny", `csr/${dishonest}`)).code, 0);
    assert.match((await tlsboot("get", "csr", honest, "--no-headers")).stdout, / pending$/m);
  });

  test("tlsboot get csr -o prints names, JSON, YAML and jsonpath", async () => {
    await submit({ name: "output", metadata: { labels: { test: "output" } }, signerName: "example.com/output" });
    const one = ["get", "csr", "output", "-o"];
    assert.equal((await tlsboot(...one, "name")).stdout, "certificatesigningrequest.certificates.k8s.io/output\n");
    const json = (await tlsboot(...one, "json")).stdout;
    assert.match(json, /^{\n {4}"apiVersion": "certificates.k8s.io\/v1",\n {4}"kind": "CertificateSigningRequest",\n/);
    assert.equal(JSON.parse(json).metadata.managedFields, undefined);
    assert.match((await tlsboot(...one, "yaml")).stdout, /^apiVersion: certificates.k8s.io\/v1\nkind: Cert/);
    const many = await tlsboot("get", "csr", "-l", "test=output", "-o", "jsonpath={.items[*].kind} {.kind}");
    assert.equal(many.stdout, "CertificateSigningRequest List");
  });

  test("tlsboot get csr of several names prints those that exist, and ends with 1 if one does not", async () => {
    await submit({ name: "several" });
    const { code, stdout, stderr } = await tlsboot("get", "csr", "nope", "csr/several");
    assert.equal(code, 1);
    assert.match(stdout, /^NAME .*\nseveral /);
    assert.equal(
      stderr,
      'tlsboot: error: certificatesigningrequests.certificates.k8s.io "nope" not found\n',
    );
  });

  test("tlsboot get csr -w shows changes until it is interrupted", async () => {
    const signer = ["--field-selector", "spec.signerName=example.com/watch"];
    await using watching = instance.start("get", "csr", "-w", ...signer);
    await submit({ name: "watched", signerName: "example.com/watch" });
    await watching.waitFor(/watched/);
    watching.kill("SIGINT");
    const { code, stdout, stderr } = await watching.finished();
    assert.equal(code, 130);
    assert.match(stdout, /^NAME .* STATE\nwatched .* pending\n/);
    assert.equal(stderr, "tlsboot: interrupted\n");
  });

  test("tlsboot approve and deny answer as kubectl does, record who decided, and report a missing signer", async () => {
    await submit({ name: "decide-1", signerName: "example.com/decide" });
    await submit({ name: "decide-2", signerName: "example.com/decide" });
    const answer = (text: string, stderr = "") => ({
      code: 0,
      stdout: `certificatesigningrequest.certificates.k8s.io/${text}\n`,
      stderr,
    });
    const unsigned = "approved, but not signed yet: decide-1. If this does not change, make sure that a signer for " +
      '"example.com/decide" runs and has a CA: tlsboot signer --signer example.com/decide, ' +
      "or the program that the name belongs to, signs for it\n";
    const version = ["get", "csr", "decide-1", "-o", "jsonpath={.metadata.resourceVersion}"];
    assert.deepEqual(await tlsboot("approve", "decide-1"), answer("decide-1 approved", unsigned));
    const before = await tlsboot(...version);
    assert.deepEqual(
      await tlsboot("approve", "decide-1", "--reason", "Again"),
      answer("decide-1 already approved", unsigned),
    );
    assert.deepEqual(await tlsboot(...version), before, "nothing was written");
    const template = "jsonpath={.status.conditions[*]['type','status','reason','message']}";
    assert.equal(
      (await tlsboot("get", "csr", "decide-1", "-o", template)).stdout,
      'Approved True TlsbootApprove This CSR was approved by user "kubernetes-admin" with tlsboot approve.',
    );
    const late = await tlsboot("deny", "decide-1", "decide-2", "--reason", "Why", "--message", "Because.");
    assert.deepEqual(late, {
      code: 1,
      stdout: "certificatesigningrequest.certificates.k8s.io/decide-2 denied\n",
      stderr: 'tlsboot: error: certificate signing request "decide-1" is already Approved\n' +
        "tlsboot: hint: a decision cannot be undone: delete the request and let the client send a new one\n",
    });
    assert.deepEqual(await tlsboot("deny", "decide-2"), answer("decide-2 already denied"));
    assert.equal(
      (await tlsboot("get", "csr", "decide-2", "-o", template)).stdout,
      'Denied True Why Because. (denied by user "kubernetes-admin" with tlsboot deny)',
    );
  });

  test("tlsboot describe csr prints kubectl's output, then requester, rules and conditions", async () => {
    await submit({ name: "describe", usages: ["client auth"], expirationSeconds: 3600 });
    const { stdout } = await instance.succeed("describe", "csr", "describe");
    assert.match(
      stdout,
      /^Name: {16}describe\nLabels: {14}<none>\nAnnotations: {9}<none>\nCreationTimestamp: {3}.*\+0000\nRequesting User: {5}kubernetes-admin\nSigner: {14}kubernetes\.io\/kube-apiserver-client-kubelet\nRequested Duration: {2}60m\nStatus: {14}Pending\nSubject:\n {9}Common Name: {4}system:node:n1\n {9}Serial Number: {2}\n {9}Organization: {3}system:nodes\nEvents: {2}<none>\n/,
    );
    assert.match(
      stdout,
      /\nSummary: +user kubernetes-admin asks for another client certificate of node n1, for one hour\.\n/,
    );
    assert.match(
      stdout,
      /\nWarning: +an approval would not lead to a certificate, because the signer refuses the request: usages did not /,
    );
    assert.match(stdout, /\nThe holder of the certificate may:\n {2}act at the API as node n1: /);
    assert.match(stdout, /\n {2}User: +system:node:n1 +kubernetes-admin\n/);
    assert.match(
      stdout,
      /\n {2}refused +the usages are client auth and .*; but usages did not match \[client auth digital signature key encipherment\]\n/,
    );
    assert.match(
      stdout,
      /\n {2}rule nodeclient: passes it on\n {4}no +usages +client auth\n +why +usages did not match \[client auth digital signature key encipherment\]\n/,
    );
    assert.match(stdout, /\nVerdict: +left pending: the requester has no permission for it\n/);
    assert.match(stdout, /Conditions: {2}<none>\n/);
  });

  test("tlsboot delete csr deletes, and reports requests that do not exist", async () => {
    await submit({ name: "delete-me" });
    const { code, stdout, stderr } = await tlsboot("delete", "csr", "delete-me", "nope");
    assert.equal(code, 1);
    assert.equal(stdout, 'certificatesigningrequest.certificates.k8s.io "delete-me" deleted\n');
    assert.match(stderr, /"nope" not found\n$/);
    assert.equal((await tlsboot("get", "csr", "delete-me")).code, 1);
  });

  test("tlsboot token create, list and delete manage bootstrap tokens, and secrets are shown only on demand", async () => {
    const made = await tlsboot("token", "create", "abcdef.0123456789abcdef", "--description", "for a test");
    assert.deepEqual(made, { code: 0, stdout: "abcdef.0123456789abcdef\n", stderr: "" });
    assert.match(
      await instance.refuse(1, "token", "create", "abcdef.0123456789abcdef"),
      /bootstrap-token-abcdef exists\ntlsboot: hint: delete it first with: tlsboot token delete abcdef\n/,
    );
    const listed = await tlsboot("token", "list");
    assert.match(listed.stdout, /^ID +TTL +KIND +NODE +FROM +USES +LAST USE +DESCRIPTION\n/);
    assert.match(listed.stdout, /\nabcdef +23h +shared +<any> +<anywhere> +<unlimited> +<none> +for a test\n/);
    const wide = await tlsboot("token", "list", "-o", "wide");
    assert.match(
      wide.stdout,
      /^ID .* DESCRIPTION +EXPIRES +USAGES +EXTRA GROUPS +CREATED BY +APPROVES +KEY +LAST REFUSAL\n/,
    );
    assert.match(
      wide.stdout,
      /\nabcdef .* for a test +\S+Z +authentication,signing +system:bootstrappers:tlsboot +<unknown> +no +<none> +<none>\n/,
    );
    assert.doesNotMatch(listed.stdout + wide.stdout, /0123456789abcdef/);
    assert.match((await tlsboot("token", "list", "--show-secrets")).stdout, /\nabcdef\.0123456789abcdef +/);
    assert.match((await tlsboot("token", "list", "--sort-by", "id", "--no-headers")).stdout, /^abcdef +\S/m);
    const facts = JSON.parse((await tlsboot("token", "list", "-o", "json")).stdout);
    assert.equal(facts.find((item: { id: string }) => item.id === "abcdef").token, undefined);
    const gone = await tlsboot("token", "delete", "abcdef", "nope00");
    assert.equal(gone.code, 1);
    assert.equal(gone.stdout, 'bootstrap token "abcdef" deleted\n');
  });

  test("an unreachable server and a broken kubeconfig are reported", async () => {
    await tlsboot("kubeconfig", "admin", "--server", "https://127.0.0.1:1", "--out", "away.kubeconfig");
    assert.match(
      await instance.refuse(1, "get", "csr", "--kubeconfig", "away.kubeconfig"),
      /^tlsboot: error: cannot reach "https:\/\/127\.0\.0\.1:1": .*\ntlsboot: hint: /,
    );
    await writeFile(instance.folder.join("broken.kubeconfig"), "kind: Config\nclusters: 5\n");
    assert.match(
      await instance.refuse(1, "get", "csr", "--kubeconfig", "broken.kubeconfig"),
      /cannot parse kubeconfig .*clusters: want a list, found a number/,
    );
  });

  test("every command reports unknown credentials with a hint", async () => {
    const file = ["-o", "kubeconfig", "--out", "wrong.kubeconfig", "--server", instance.url];
    assert.equal((await tlsboot("token", "create", "abcdef.0000000000000000", ...file)).code, 0);
    assert.equal((await tlsboot("token", "delete", "abcdef")).code, 0);
    for (const line of [["get", "csr"], ["describe", "csr", "x"], ["approve", "x"], ["token", "list"]]) {
      assert.match(
        await instance.refuse(1, ...line, "--kubeconfig", "wrong.kubeconfig"),
        /Unauthorized.*\ntlsboot: hint: the server does not accept the credentials.* --kubeconfig/,
      );
    }
  });

  test("an invalid selector is reported with its flag", async () => {
    for (
      const [args, code, want] of [
        [["-l", "a=b=c"], 2, /error: --selector: "a=b=c" found, found '=', expected/],
        [["--field-selector", "foo"], 2, /error: --field-selector: "foo" found, invalid selector/],
        [["-l", "a=b", "--field-selector", "foo"], 2, /error: --field-selector: "foo" found, invalid selector/],
        [["--field-selector", "a.b=c"], 1, /cannot use --field-selector "a\.b=c": field label not supported: a\.b/],
      ] as const
    ) {
      assert.match(await instance.refuse(code, "get", "csr", ...args), want);
    }
  });

  test("an invalid signer name is reported with its flag", async () => {
    for (const command of [["trust", "fetch", "--out", "-"], ["kubeconfig", "user", "ann", "--role", "approver"]]) {
      const stderr = await instance.refuse(2, ...command, "--signer", "web");
      assert.match(stderr, /error: --signer: "web" found, want domain\/path, such as example\.com\/pods/);
    }
  });
});
