import assert from "node:assert/strict";
import { readdir, readFile, rm, stat, watch, writeFile } from "node:fs/promises";
import { test } from "node:test";
import type { KubeObject } from "../../core/kube/meta.ts";
import { parseCredentialPair } from "../../core/machine/credential_pair.ts";
import { type Finished, type Running, runTlsboot, spawnTlsboot } from "../support/child.ts";
import { startHttpProxy } from "../support/http_proxy.ts";
import { createIssuingCa } from "../support/issuing_ca.ts";
import {
  bootstrapLine,
  connectWith,
  createWorkplace,
  describeInstance,
  machineFlags,
  startInstance,
  whoIs,
} from "../support/instance_process.ts";
import { grant } from "../support/node_requests.ts";
import type { TempFolder } from "../support/temp.ts";

const signal = new AbortController().signal;
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

/** Returns the command line with another bootstrap kubeconfig. */
function bootstrapWith(kubeconfig: string, node: string, ...more: readonly string[]): readonly string[] {
  return ["bootstrap", "--bootstrap-kubeconfig", kubeconfig, ...machineFlags(node), ...more];
}

async function getRequestName(running: Running): Promise<string> {
  const [, name = ""] = await running.waitFor(/request (\S+) (?:made|taken up again);/);
  return name;
}

/** Writes the bootstrap kubeconfig with a change. */
async function editedKubeconfig(folder: TempFolder, name: string, edit: (text: string) => string): Promise<string> {
  const text = await readFile(folder.join("data/bootstrap.kubeconfig"), "utf8");
  const edited = edit(text);
  assert.notEqual(edited, text);
  await writeFile(folder.join(name), edited, { mode: 0o600 });
  return name;
}

describeInstance("tlsboot bootstrap with manual approval", {}, (instance) => {
  test("tlsboot bootstrap gets a certificate once it is approved, and then has nothing to do", async () => {
    const { folder } = instance;
    await using running = instance.start(...bootstrapLine("n1"));
    await instance.succeed("approve", await getRequestName(running));
    const { code, stdout } = await running.finished();
    assert.equal(code, 0);
    assert.match(
      stdout,
      /^certificate of n1 issued, valid until [\dT:-]+Z\ncertificate and key: n1\/pki\/kubelet-client-current\.pem\nkubeconfig: n1\/kubeconfig\n$/,
    );
    assert.equal((await stat(folder.join("n1/kubeconfig"))).mode & 0o777, 0o600);
    assert.deepEqual((await readdir(folder.join("n1/pki"))).length, 2);
    assert.equal(await whoIs(folder.join("n1/kubeconfig")), "system:node:n1");
    const again = await instance.succeed(...bootstrapLine("n1"));
    assert.match(again.stdout, /^nothing to do: n1\/kubeconfig of system:node:n1 is valid until [\dT:-]+Z\n$/);
  });

  test("tlsboot bootstrap killed while waiting continues with its own request and key", async () => {
    const { folder } = instance;
    await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
    const count = async () =>
      (await admin.api.requestList<KubeObject>({ method: "GET", path: CSRS }, signal)).items.length;
    const before = await count();
    await using first = spawnTlsboot(bootstrapLine("killed"), { cwd: folder.path });
    const name = await getRequestName(first);
    first.kill("SIGKILL");
    await first.finished();
    await using second = instance.start(...bootstrapLine("killed"));
    assert.equal(await getRequestName(second), name);
    assert.match(second.stderr(), /taken up again/);
    await instance.succeed("approve", name);
    assert.equal((await second.finished()).code, 0);
    assert.equal(await count(), before + 1);
  });

  test("tlsboot bootstrap killed while switching pairs leaves a complete pair, and the next run continues", async () => {
    const { folder } = instance;
    const [kubeconfig, pki] = [folder.join("switched/kubeconfig"), folder.join("switched/pki")];
    await using first = instance.start(...bootstrapLine("switched"));
    await instance.succeed("approve", await getRequestName(first));
    assert.equal((await first.finished()).code, 0);
    // A switch makes about ten changes in the folder; the kill comes right after one of them.
    for (const changes of [1, 4, 7]) {
      // Without its kubeconfig, the machine stores its certificate once more.
      await rm(kubeconfig);
      await using running = spawnTlsboot(bootstrapLine("switched"), { cwd: folder.path });
      let seen = 0;
      for await (const _ of watch(pki)) if (++seen === changes) break;
      running.kill("SIGKILL");
      await running.finished();
      const stored = await readFile(`${pki}/kubelet-client-current.pem`, "utf8");
      assert.ok(parseCredentialPair(stored, stored).ok, `after ${changes} changes`);
      await instance.succeed(...bootstrapLine("switched"));
      assert.equal(await whoIs(kubeconfig), "system:node:switched");
    }
  });

  test("tlsboot bootstrap reports a request that has failed, and an unreachable server", async () => {
    const { folder } = instance;
    await using running = instance.start(...bootstrapLine("failed"));
    const name = await getRequestName(running);
    await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
    await admin.api.requestJson({
      method: "PATCH",
      path: `${CSRS}/${name}/status`,
      body: { status: { conditions: [{ type: "Failed", status: "True", reason: "Broken", message: "no ink" }] } },
      contentType: "application/merge-patch+json",
    }, signal);
    const { code, stderr } = await running.finished();
    assert.equal(code, 3);
    assert.match(stderr, /error: certificate signing request failed, reason: Broken, message: no ink\n/);

    const away = await editedKubeconfig(
      folder,
      "away.kubeconfig",
      (text) => text.replace(/server: .*/, "server: https://127.0.0.1:1"),
    );
    await using waiting = instance.start(...bootstrapWith(away, "away"));
    await waiting.waitFor(/waiting for https:\/\/127\.0\.0\.1:1/);
  });
});

test("tlsboot bootstrap reaches a server through the proxy of the environment or of the kubeconfig", async () => {
  await using folder = await createWorkplace();
  // Only the proxy can resolve this name.
  const name = "api.example.test";
  await using instance = await startInstance(folder, ["--advertise-address", name, "--auto-approve"]);
  await using proxy = await startHttpProxy();
  const url = proxy.url.replace("//", "//anna:s3cret@");
  const check = (finished: Finished, node: string): void => {
    assert.equal(finished.code, 0, finished.stderr);
    assert.match(finished.stdout, new RegExp(`certificate of ${node} issued`));
    assert.doesNotMatch(finished.stdout + finished.stderr, /s3cret|YW5uYT/);
    const head = proxy.heads.at(-1) ?? "";
    assert.match(head, new RegExp(`^CONNECT ${name}:${instance.port} HTTP/1.1\r\n`));
    assert.ok(head.includes(`Proxy-Authorization: Basic ${btoa("anna:s3cret")}\r\n`));
  };
  const options = { cwd: folder.path };
  check(await runTlsboot(bootstrapLine("n1"), { ...options, env: { HTTPS_PROXY: url, NO_PROXY: "" } }), "n1");
  assert.doesNotMatch(await readFile(folder.join("n1/kubeconfig"), "utf8"), /proxy-url/);
  const own = await editedKubeconfig(
    folder,
    "proxy.kubeconfig",
    (text) => text.replace(/^( +)server: .*$/m, (line, indent) => `${line}\n${indent}proxy-url: ${url}`),
  );
  check(await runTlsboot(bootstrapWith(own, "n2"), { ...options, env: { NO_PROXY: "*" } }), "n2");
  assert.match(await readFile(folder.join("n2/kubeconfig"), "utf8"), /proxy-url: /);
  const refused = await runTlsboot(["get", "csr", "--data-dir", instance.data], {
    ...options,
    env: { HTTPS_PROXY: "socks5://anna:s3cret@proxy" },
  });
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /cannot use HTTPS_PROXY: its scheme is "socks5"/);
  assert.doesNotMatch(refused.stderr, /s3cret/);
});

test("tlsboot bootstrap reports each failure, with exit code 3 for a refusal and 1 for others", async () => {
  await using folder = await createWorkplace();
  await using instance = await startInstance(folder);
  const own = "data/bootstrap.kubeconfig";

  await using denied = folder.start(...bootstrapLine("denied"));
  await folder.succeed("deny", await getRequestName(denied));
  const outcome = await denied.finished();
  assert.equal(outcome.code, 3);
  assert.match(outcome.stderr, /error: certificate signing request is denied, reason: \w+, message: /);
  assert.match(outcome.stderr, /hint: to request it again, delete it first: tlsboot delete csr \S+\n$/);

  const unknownToken = await editedKubeconfig(
    folder,
    "token.kubeconfig",
    (text) => text.replace(/token: .*/, "token: abcdef.0123456789abcdef"),
  );
  const otherCa = Buffer.from((await createIssuingCa(new Date(), "another-ca")).caPem).toString("base64");
  const wrongCa = await editedKubeconfig(
    folder,
    "ca.kubeconfig",
    (text) => text.replace(/certificate-authority-data: .*/, `certificate-authority-data: ${otherCa}`),
  );
  for (
    const [node, kubeconfig, wait, code, want] of [
      [
        "late",
        own,
        "1s",
        3,
        /error: cannot get a certificate for "\S+": timed out waiting for the condition\n.*hint: approve it, then run the command again/,
      ],
      ["token", unknownToken, "20s", 1, /error: .*Unauthorized/],
      [
        "ca",
        wrongCa,
        "20s",
        1,
        /error: cannot trust "https:\/\/127\.0\.0\.1:\d+": its serving certificate is signed by an unknown authority/,
      ],
      [
        "none",
        "nowhere.kubeconfig",
        "20s",
        1,
        /error: unable to load bootstrap kubeconfig: cannot read kubeconfig ".*nowhere\.kubeconfig": file does not exist\n/,
      ],
    ] as const
  ) assert.match(await folder.refuse(code, ...bootstrapWith(kubeconfig, node, "--timeout", wait)), want);

  // Deleting the binding revokes the permission to create requests.
  await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
  const binding = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/tlsboot:node-bootstrapper";
  await admin.api.requestJson({ method: "DELETE", path: binding }, signal);
  await using bootstrapper = await connectWith(folder.join(own));
  await assert.rejects(bootstrapper.api.requestJson({ method: "GET", path: CSRS }, signal), /is forbidden/);
  assert.match(
    await folder.refuse(1, ...bootstrapWith(own, "revoked", "--timeout", "20s")),
    /is forbidden: User "system:bootstrap:[a-z0-9]{6}" cannot create resource "certificatesigningrequests"/,
  );
});

test("tlsboot bootstrap --rotate-certificates renews automatically", async () => {
  await using folder = await createWorkplace();
  await using instance = await startInstance(folder, ["--auto-approve", "--cluster-signing-duration", "20s"]);
  await using running = folder.start(...bootstrapLine("n1", "--rotate-certificates", "--duration", "1h"));
  await running.waitFor(/certificate of n1 issued/);
  const cut = "tlsboot: warning: the signer grants a lifetime of 5m20s, not the requested 1h0m0s\n";
  await running.waitFor(new RegExp(cut));
  const first = await readFile(folder.join("n1/pki/kubelet-client-current.pem"), "utf8");
  await running.waitFor(/certificate renewed, valid until /);
  assert.notEqual(await readFile(folder.join("n1/pki/kubelet-client-current.pem"), "utf8"), first);
  await running.waitFor(new RegExp(`(?:${cut}[^]*){2}`));
  assert.equal(await whoIs(folder.join("n1/kubeconfig")), "system:node:n1");
  assert.equal(instance.running.stderr().includes("ERROR"), false);
});

test("signer and approver as separate processes work for a remote API while they lead", async () => {
  await using folder = await createWorkplace();
  await using instance = await startInstance(folder, [], "serve");
  const admin = `${instance.data}/admin.kubeconfig`;
  await using connected = await connectWith(admin);
  const ca = ["--cluster-signing-cert-file", "data/pki/ca.crt", "--cluster-signing-key-file", "data/pki/ca.key"];
  await using signer = folder.start("signer", "--kubeconfig", admin, ...ca);
  await using approver = folder.start("approver", "--kubeconfig", admin);
  await Promise.all([signer.waitFor(/lead/i), approver.waitFor(/lead/i)]);
  const bootstrappers = { kind: "Group", name: "system:bootstrappers" } as const;
  await grant(
    connected.api,
    "rule",
    bootstrappers,
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
  );
  await grant(connected.api, "ask", bootstrappers, "system:node-bootstrapper");
  await folder.succeed(
    ...["token", "create", "-o", "kubeconfig", "--data-dir", instance.data, "--server", instance.url],
    ...["--out", "bootstrap.kubeconfig"],
  );
  await using running = folder.start(...bootstrapWith("bootstrap.kubeconfig", "n1"));
  await running.waitFor(/certificate of n1 issued/);
  const leases = await connected.api.requestList<KubeObject>({
    method: "GET",
    path: "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases",
  }, signal);
  assert.deepEqual(leases.items.map(({ metadata }) => metadata.name).sort(), ["tlsboot-approver", "tlsboot-signer"]);
});
