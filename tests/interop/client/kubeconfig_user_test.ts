/** `tlsboot kubeconfig user`, checked with openssl and kubectl, with tlsboot's server and with Kubernetes' own. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { PERSON_ROLES, type PersonRole } from "../../../cli/commands/kubeconfig/flags.ts";
import { spawnTlsbootToEnd, succeedTlsboot } from "../../support/child.ts";
import { buildCsr } from "../../support/csr_builder.ts";
import { eventually } from "../../support/eventually.ts";
import { type Cluster, CLUSTERS } from "../../support/interop/clusters.ts";
import { untilAllowed } from "../../support/interop/kubectl.ts";
import { assertChain, assertKeyMatches, readMode, readSubject } from "../../support/interop/openssl.ts";

/** Runs the command as the cluster's administrator, and returns stderr. */
async function grantAccess({ folder, adminKubeconfig }: Cluster, ...args: readonly string[]): Promise<string> {
  const { stderr } = await succeedTlsboot(["kubeconfig", "user", "--kubeconfig", adminKubeconfig, ...args], {
    cwd: folder.path,
  });
  return stderr;
}

/** Extracts the certificate and the key of a kubeconfig with kubectl. */
async function extractPair(
  { folder, kubectl }: Cluster,
  kubeconfig: string,
): Promise<{ certificate: string; key: string }> {
  const paths = { certificate: folder.join("out.crt"), key: folder.join("out.key") };
  for (
    const [field, path] of [["client-certificate-data", paths.certificate], ["client-key-data", paths.key]] as const
  ) {
    const template = `--output=jsonpath={.users[0].user.${field}}`;
    const base64 = await kubectl.as(kubeconfig).run("config", "view", "--raw", template);
    await writeFile(path, atob(base64), { mode: 0o600 });
  }
  return paths;
}

for (const [name, start] of CLUSTERS) {
  describe(name, () => testUsers(start, name === "tlsboot up"));
}

/** Declares tests that share a cluster; each uses different user names. */
function testUsers(start: () => Promise<Cluster>, hasRevocations: boolean): void {
  let cluster: Cluster;
  before(async () => void (cluster = await start()));
  after(() => cluster[Symbol.asyncDispose]());

  test(`tlsboot kubeconfig user gives a person access, and prints their permissions`, async () => {
    const { folder, kubectl, caPath } = cluster;
    const stderr = await grantAccess(cluster, "alice", "--group", "dev", "--duration", "1h");
    const kubeconfig = folder.join("alice.kubeconfig");
    assert.equal(await readMode(kubeconfig), 0o600);
    const alice = kubectl.as(kubeconfig);
    const who = await alice.run("auth", "whoami");
    assert.match(who, /Username +alice\n/);
    assert.match(who, /Groups +\[dev system:authenticated\]/);
    const { certificate, key } = await extractPair(cluster, kubeconfig);
    await assertChain(caPath, certificate, "sslclient");
    await assertKeyMatches(certificate, key);
    assert.equal(await readSubject(certificate), "CN=alice,O=dev");

    assert.equal((await alice.try("auth", "can-i", "list", "configmaps")).stdout, "no\n");
    assert.match(
      stderr,
      /\n {2}tlsboot kubeconfig user alice --kubeconfig \S+ --group dev --role viewer --duration 1h --force\n/,
    );
    await kubectl.run(
      ...["create", "rolebinding", "alice-view", "--namespace=default", "--clusterrole=view", "--user=alice"],
    );
    // kube-apiserver sees a binding by a watch, a moment later.
    await untilAllowed(alice, "list", "configmaps");
    await alice.run("get", "configmaps");
    assert.match(
      await grantAccess(cluster, "alice", "--force"),
      /alice may, in the namespace default:\n {2}get, list, watch: /,
    );
  });

  test(`tlsboot kubeconfig user writes the same file as kubectl config`, async () => {
    const { folder, kubectl, caPath, server } = cluster;
    await grantAccess(cluster, "bob", "--cluster-name", "lab");
    const { certificate, key } = await extractPair(cluster, folder.join("bob.kubeconfig"));
    const config = folder.join("kubectl.kubeconfig");
    const set = (...args: readonly string[]) => kubectl.run("config", `--kubeconfig=${config}`, ...args);
    await set("set-cluster", "lab", `--server=${server}`, `--certificate-authority=${caPath}`, "--embed-certs=true");
    await set(
      ...["set-credentials", "bob", `--client-certificate=${certificate}`, `--client-key=${key}`, "--embed-certs=true"],
    );
    await set("set-context", "lab", "--cluster=lab", "--user=bob");
    await set("use-context", "lab");
    const theirs = await kubectl.as(config).run("config", "view", "--raw", "--output=json");
    const ours = await kubectl.as(folder.join("bob.kubeconfig")).run("config", "view", "--raw", "--output=json");
    assert.deepEqual(JSON.parse(ours), JSON.parse(theirs));
    assert.equal(await readFile(folder.join("bob.kubeconfig"), "utf8"), await readFile(config, "utf8"));
  });

  test(`tlsboot kubeconfig user with --no-approve waits for an approval by kubectl`, async () => {
    const stderr = await grantAccess(cluster, "carol", "--no-approve");
    const [, request = ""] = /tlsboot approve (\S+)\n/.exec(stderr) ?? [];
    assert.match(await cluster.kubectl.run("get", "csr", request), / 8h +Pending\n/);
    await cluster.kubectl.run("certificate", "approve", request);
    await grantAccess(cluster, "carol");
    assert.match(await cluster.kubectl.as(cluster.folder.join("carol.kubeconfig")).run("auth", "whoami"), /carol\n/);
    const requests = (await cluster.kubectl.run("get", "csr", "--output=name")).trim().split("\n");
    assert.equal(requests.filter((name) => name.includes("/carol-")).length, 1, requests.join(" "));
  });

  test(`tlsboot kubeconfig user --role lets a person do only what the role allows`, async () => {
    const { folder, kubectl, adminKubeconfig } = cluster;
    for (const role of PERSON_ROLES) {
      const stderr = await grantAccess(cluster, `a-${role}`, "--role", role);
      assert.match(stderr, new RegExp(`^a-${role} gets the role tlsboot:${role}, and may then\n  read requests`));
    }
    const asPerson = (role: PersonRole) => kubectl.as(folder.join(`a-${role}.kubeconfig`));
    const mayDo = async (role: PersonRole, what: string) =>
      (await asPerson(role).try("auth", "can-i", ...what.split(" "))).code === 0;
    // kube-apiserver sees roles and bindings by watches, a moment later; these permissions are the last of each role.
    for (
      const [role, what] of [
        ["viewer", "list csr"],
        ["approver", "update csr --subresource=approval"],
        ["operator", "delete csr"],
        ["operator", "list secrets -n kube-system"],
      ] as const
    ) await untilAllowed(asPerson(role), ...what.split(" "));
    for (
      const [what, firstAllowed] of [
        ["get nodes", 0],
        ["list events", 0],
        ["delete csr", 2],
        ["create secrets -n kube-system", 2],
        ["get secrets -n default", 3],
        ["create csr", 3],
        ["create clusterrolebindings", 3],
        ["impersonate users", 3],
      ] as const
    ) {
      const answers = await Promise.all(PERSON_ROLES.map((role) => mayDo(role, what)));
      assert.deepEqual(answers, PERSON_ROLES.map((_, index) => index >= firstAllowed), what);
    }

    const tool = (role: PersonRole, ...args: readonly string[]) =>
      spawnTlsbootToEnd([...args, "--kubeconfig", folder.join(`a-${role}.kubeconfig`)], { cwd: folder.path });
    const requestAccess = async (name: string): Promise<string> => {
      const [, request = ""] = /tlsboot approve (\S+)\n/.exec(await grantAccess(cluster, name, "--no-approve")) ?? [];
      return request;
    };
    const wanted = await requestAccess("rita");
    assert.match(
      (await tool("viewer", "get", "csr", "--pending")).stdout,
      /^rita-\S+ +user rita +API client .* pending$/m,
    );
    const refused = await asPerson("viewer").try("certificate", "approve", wanted);
    assert.match(refused.stderr, /User "a-viewer" cannot update resource "certificatesigningrequests\/approval"/);
    assert.match((await tool("viewer", "deny", wanted)).stderr, /User "a-viewer" cannot update resource/);
    await asPerson("approver").run("certificate", "approve", wanted);
    await grantAccess(cluster, "rita");
    const unwanted = await requestAccess("umberto");
    assert.equal((await tool("approver", "deny", unwanted, "--message", "Not here.")).code, 0);
    assert.match((await asPerson("approver").try("delete", "csr", unwanted)).stderr, /cannot delete resource/);
    assert.match((await tool("approver", "token", "list")).stderr, /cannot list resource "secrets"/);
    await asPerson("operator").run("delete", "csr", unwanted);
    const { stdout: token } = await tool("operator", "token", "create", "--description", "by an operator");
    assert.match((await tool("operator", "token", "list")).stdout, /by an operator/);
    assert.equal((await tool("operator", "token", "delete", token.slice(0, 6))).code, 0);
    if (hasRevocations) {
      assert.match(
        (await tool("approver", "revoke", "user/rita", "--yes")).stderr,
        /cannot create resource "revocations"/,
      );
      assert.equal((await tool("operator", "revoke", "user/rita", "--yes")).code, 0);
    }

    // The role includes a custom signer only on request, and no one can grant more than they have.
    const csr = await buildCsr({ name: "custom-signer", signerName: "example.com/custom" });
    await kubectl.create(JSON.stringify({ ...csr, status: undefined }));
    const custom = () => asPerson("approver").try("certificate", "approve", "custom-signer");
    assert.match((await custom()).stderr, /not permitted to approve requests with signerName \\?"example.com\/custom/);
    await grantAccess(cluster, "another", "--role", "approver", "--signer", "example.com/custom");
    await eventually("the role has the signer", async () => (await custom()).code === 0 || undefined);
    const greedy = await tool("approver", "kubeconfig", "user", "a-viewer", "--role", "operator", "--force");
    assert.equal(greedy.code, 1);
    assert.match(greedy.stderr, /cannot give a-viewer the role tlsboot:operator: .*forbidden/);
    await kubectl.as(adminKubeconfig).run("delete", "clusterrolebinding", "tlsboot:viewer:a-viewer");
    await eventually("the permission is revoked", async () => !await mayDo("viewer", "list csr") || undefined);
  });

  test("tlsboot get csr prints the same as kubectl, in each output format and order", async () => {
    const { folder, kubectl, adminKubeconfig } = cluster;
    for (const [name, expirationSeconds] of [["list-10", 7200], ["list-2", 86_400], ["list-1", 3600]] as const) {
      const csr = await buildCsr({
        name,
        metadata: { labels: { test: "lists" } },
        signerName: "example.com/lists",
        expirationSeconds,
      });
      await kubectl.create(JSON.stringify({ ...csr, status: undefined }));
    }
    const fields = '{.metadata.name} {.spec.expirationSeconds} {.spec.usages[*]} {.kind}{"\\n"}';
    const jsonpath = `jsonpath={range .items[*]}${fields}{end}`;
    for (
      const [flags, ours = []] of [
        [[], ["-o", "kubectl"]],
        [["--sort-by", ".metadata.name"], ["-o", "kubectl"]],
        [["--sort-by", "{.spec.expirationSeconds}", "--no-headers"], ["-o", "kubectl"]],
        [["--sort-by", "metadata.name", "-o", "name"]],
        [["-o", jsonpath]],
        [["-o", jsonpath, "--sort-by", ".metadata.name"]],
      ] as const
    ) {
      const chosen = ["get", "csr", "-l", "test=lists", ...flags];
      const { stdout } = await spawnTlsbootToEnd([...chosen, ...ours, "--kubeconfig", adminKubeconfig], {
        cwd: folder.path,
      });
      const withoutAge = (text: string) => text.replace(/ (?:AGE|\d+s|\d+m\d*s?) +/g, " age ");
      assert.equal(withoutAge(stdout), withoutAge(await kubectl.run(...chosen)), flags.join(" "));
    }
  });
}
