import assert from "node:assert/strict";
import { chmod, copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { parseKubeconfig } from "../../core/kube/kubeconfig/kubeconfig.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { buildCsr } from "../support/csr_builder.ts";
import { createFilePort } from "../../client/files.ts";
import { readInterfaces } from "../../client/host_facts.ts";
import { listReachableHosts } from "../../core/machine/node_name.ts";
import { eventually } from "../support/eventually.ts";
import { connectWith, createWorkplace, spawnInstance, startInstance } from "../support/instance_process.ts";
import { findServerPort, readMode } from "../support/temp.ts";

const signal = new AbortController().signal;
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const BUNDLES = "/apis/certificates.k8s.io/v1/clustertrustbundles";
const SECRETS = "/api/v1/namespaces/kube-system/secrets";

async function readToken(kubeconfig: string): Promise<string> {
  const config = parseKubeconfig(await readFile(kubeconfig, "utf8"), kubeconfig);
  assert.ok(config.ok);
  return config.value.users[0]?.user.token?.reveal() ?? "";
}

test("tlsboot up creates private files, and prints the next commands", async () => {
  await using folder = await createWorkplace();
  await using instance = await startInstance(folder);
  const at = (name: string) => `${instance.data}/${name}`;
  for (
    const [name, mode] of [
      ["", "700"],
      ["pki", "700"],
      ["pki/ca.crt", "644"],
      ["pki/ca.key", "600"],
      ["pki/apiserver.crt", "644"],
      ["pki/apiserver.key", "600"],
      ["pki/sa.key", "600"],
      ["pki/sa.pub", "644"],
      ["tlsboot.db", "600"],
      ["admin.kubeconfig", "600"],
      ["bootstrap.kubeconfig", "600"],
    ] as const
  ) {
    assert.equal(await readMode(at(name)), mode, name);
  }
  for (const name of await readdir(instance.data)) {
    if (name.startsWith("tlsboot.db")) assert.equal(await readMode(at(name)), "600", name);
  }
  const out = instance.running.stdout();
  assert.match(
    out,
    /^tlsboot is up at https:\/\/127\.0\.0\.1:\d+\nCA sha256:[0-9a-f]{64}, created now and valid until \d{4}-[^\n]+Z\n/,
  );
  assert.match(
    out,
    /\n {2}tlsboot bootstrap --bootstrap-kubeconfig data\/bootstrap\.kubeconfig --kubeconfig n1\/kubeconfig --cert-dir n1\/pki --hostname-override n1\n/,
  );
  assert.match(out, /\n {2}tlsboot get csr --data-dir data\n/);
  assert.match(out, /\n {2}tlsboot approve n1 --data-dir data\n/);
  assert.match(out, /Only the renewals of nodes are approved automatically/);
  assert.ok(!out.includes("\u001b"));
  // The child's output on its two pipes may arrive in any order.
  await instance.running.waitFor(/"bootstrap kubeconfig written".*\n/);
  const before = instance.running.stderr();
  // The controllers' first work is not logged.
  {
    await using connected = await connectWith(at("admin.kubeconfig"));
    await eventually("the trust bundle is published", async () => {
      const { items } = await connected.api.requestJson({ method: "GET", path: BUNDLES }, signal) as {
        readonly items: readonly unknown[];
      };
      return items[0];
    });
  }
  assert.equal(instance.running.stderr(), before);
  const [, hash = "none"] = /^CA (sha256:[0-9a-f]{64}),/m.exec(out) ?? [];
  assert.ok(before.includes(`"caCertHash":"${hash}"`), before);
  const { code, stderr } = await instance.end("SIGINT");
  assert.equal(code, 0);
  assert.match(
    stderr.slice(before.length),
    /^[^\n]*"message":"stopping after [^\n]*\n[^\n]*"message":"register sealed"[^\n]*\n$/,
  );
});

test("a second tlsboot up keeps CA, data and token, and prints the next steps; a deleted binding stays deleted", async () => {
  await using folder = await createWorkplace();
  const port = String(await findServerPort());
  const first = await startInstance(folder, ["--secure-port", port]);
  const admin = `${first.data}/admin.kubeconfig`;
  const before = await Promise.all(
    ["pki/ca.crt", "bootstrap.kubeconfig", "admin.kubeconfig"].map((name) => readFile(`${first.data}/${name}`, "utf8")),
  );
  const bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
  {
    await using connected = await connectWith(admin);
    for (const request of [{ name: "kept" }, { name: "other", signerName: "kubernetes.io/kube-apiserver-client" }]) {
      await connected.api.requestJson({ method: "POST", path: CSRS, body: await buildCsr(request) }, signal);
    }
    await connected.api.requestJson({ method: "DELETE", path: `${bindings}/tlsboot:node-bootstrapper` }, signal);
    await eventually("the certificate of the node is issued", async () => {
      const get = { method: "GET", path: `${CSRS}/kept` } as const;
      return (await connected.api.requestObject<CertificateSigningRequest>(get, signal)).status.certificate;
    });
  }
  const { code, stderr } = await first.end("SIGINT");
  assert.equal(code, 0);
  assert.doesNotMatch(stderr, /"level":"(ERROR|WARN)"/i);
  await using second = await startInstance(folder, ["--secure-port", port]);
  assert.match(second.running.stdout(), /\nCA sha256:[0-9a-f]{64}\n/);
  assert.match(
    second.running.stdout(),
    /\n {2}tlsboot describe csr other --data-dir data\n\n {2}# approve it\n {2}tlsboot approve other --data-dir data\n\nOnly the renewals/,
  );
  const after = await Promise.all(
    ["pki/ca.crt", "bootstrap.kubeconfig", "admin.kubeconfig"].map((name) =>
      readFile(`${second.data}/${name}`, "utf8")
    ),
  );
  assert.deepEqual(after, before);
  await using connected = await connectWith(admin);
  const kept = await connected.api.requestObject<KubeObject>({ method: "GET", path: `${CSRS}/kept` }, signal);
  assert.equal(kept.metadata.name, "kept");
  await assert.rejects(
    connected.api.requestJson({ method: "GET", path: `${bindings}/tlsboot:node-bootstrapper` }, signal),
    /not found/,
  );

  await second.succeed("deny", "other");
  await second.end("SIGINT");
  await using third = await startInstance(folder, ["--secure-port", port]);
  assert.match(
    third.running.stdout(),
    /\n {2}tlsboot get certificates --data-dir data\n\n {2}# request the certificate of a machine called n2\n/,
  );
});

test("tlsboot up --shared-token=false creates no shared token, and deletes those of earlier runs", async () => {
  await using folder = await createWorkplace();
  const readTokens = async (): Promise<readonly string[]> => {
    return JSON.parse(await folder.answer("token", "list", "-o", "json")).map((
      { id, description }: { id: string; description: string },
    ) => `${id} ${description}`);
  };
  let old: string;
  {
    await using first = await startInstance(folder);
    old = await readToken(`${first.data}/bootstrap.kubeconfig`);
    assert.equal((await readTokens()).length, 1);
    await folder.succeed("token", "create", "abcdef.0123456789abcdef", "--node", "n1");
    // A changed address causes a second token, and the first one stays.
    await first.end("SIGINT");
  }
  {
    await using second = await startInstance(folder, ["--advertise-address", "localhost"]);
    assert.equal((await readTokens()).length, 3);
    await second.end("SIGINT");
  }
  const port = ["--secure-port", String(await findServerPort())];
  {
    await using third = await startInstance(folder, ["--shared-token=false", ...port]);
    assert.deepEqual(await readTokens(), ["abcdef "]);
    await assert.rejects(stat(`${third.data}/bootstrap.kubeconfig`), /ENOENT/);
    await third.running.waitFor(/shared token deleted.*"tokenId":"[a-z0-9]{6}"/);
    await third.running.waitFor(/bootstrap kubeconfig removed/);
    assert.ok(!third.running.stderr().includes(old.slice(7)), "no secret of a token is logged");
    const out = third.running.stdout();
    assert.match(out, /\nno shared token: each machine needs its own token\n/);
    assert.match(
      out,
      /\n {2}tlsboot token create --node n1 --data-dir data\n {2}tlsboot bootstrap --server \S+ --token TOKEN --ca-cert-hash sha256:\S+ --kubeconfig n1\/kubeconfig /,
    );
    assert.doesNotMatch(out, /bootstrap\.kubeconfig/);
    // A file of the user's own is kept.
    await folder.succeed("token", "delete", "abcdef");
    await folder.succeed(
      ...["token", "create", "abcdef.0123456789abcdef", "--node", "n1", "-o", "kubeconfig", "--server", third.url],
      ...["--out", `${third.data}/bootstrap.kubeconfig`],
    );
    await third.end("SIGINT");
  }
  await using fourth = await startInstance(folder, ["--shared-token=false", ...port]);
  assert.deepEqual(await readTokens(), ["abcdef "]);
  assert.equal(await readToken(`${fourth.data}/bootstrap.kubeconfig`), "abcdef.0123456789abcdef");
  await fourth.running.waitFor(/bootstrap kubeconfig kept: tlsboot up did not make its token/);
});

test("an interruption ends tlsboot up, even with an open watch", async () => {
  await using folder = await createWorkplace();
  await using instance = await startInstance(folder);
  await using connected = await connectWith(`${instance.data}/admin.kubeconfig`);
  const watch = await connected.api.open({ method: "GET", path: `${CSRS}?watch=1` }, signal);
  const drained = (async () => {
    for await (const _ of watch.body) { /* until the server ends it */ }
  })().catch(() => {});
  // The client would keep the watch open for half an hour.
  const { code } = await instance.end("SIGTERM");
  assert.equal(code, 0);
  await drained;
});

test("kill -9 loses nothing that was acknowledged, and a watch continues from its revision", async () => {
  await using folder = await createWorkplace();
  const port = String(await findServerPort());
  const names = Array.from({ length: 30 }, (_, index) => `n-${String(index).padStart(2, "0")}`);
  const acknowledged: string[] = [];
  let version = "";
  {
    await using instance = await spawnInstance(folder, ["--secure-port", port]);
    await using connected = await connectWith(`${instance.data}/admin.kubeconfig`);
    // No approver decides about this signer's requests.
    const csr = await buildCsr({ signerName: "example.com/x" });
    const first = await connected.api.requestObject<KubeObject>({
      method: "POST",
      path: CSRS,
      body: { ...csr, metadata: { name: "first" } },
    }, signal);
    version = first.metadata.resourceVersion ?? "";
    const writes = names.map(async (name) => {
      await connected.api.requestJson({ method: "POST", path: CSRS, body: { ...csr, metadata: { name } } }, signal);
      acknowledged.push(name);
      if (acknowledged.length === 20) instance.running.kill("SIGKILL");
    });
    await Promise.allSettled(writes);
    await instance.running.finished();
  }
  assert.ok(acknowledged.length >= 20);
  await using instance = await startInstance(folder, ["--secure-port", port]);
  await using connected = await connectWith(`${instance.data}/admin.kubeconfig`);
  const list = await connected.api.requestList<KubeObject>({ method: "GET", path: CSRS }, signal);
  const there = new Set(list.items.map(({ metadata }) => metadata.name));
  for (const name of acknowledged) assert.ok(there.has(name), `${name} is lost`);
  const watch = await connected.api.requestText(
    { method: "GET", path: `${CSRS}?watch=1&resourceVersion=${version}&timeoutSeconds=1` },
    signal,
  );
  const events = watch.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(events.filter(({ type }) => type !== "ADDED"), []);
  assert.deepEqual(
    new Set(events.map(({ object }) => object.metadata.name)),
    new Set([...there].filter((name) => name !== "first")),
  );
});

test("tlsboot up replaces its own token when it has expired", async () => {
  await using folder = await createWorkplace();
  const port = String(await findServerPort());
  const first = await startInstance(folder, ["--secure-port", port]);
  const bootstrap = `${first.data}/bootstrap.kubeconfig`;
  const token = await readToken(bootstrap);
  {
    await using connected = await connectWith(`${first.data}/admin.kubeconfig`);
    const name = `bootstrap-token-${token.slice(0, 6)}`;
    await connected.api.requestJson({
      method: "PATCH",
      path: `${SECRETS}/${name}`,
      body: { stringData: { expiration: "2020-01-01T00:00:00Z" } },
      contentType: "application/merge-patch+json",
    }, signal);
    await using bootstrapper = await connectWith(bootstrap);
    await assert.rejects(bootstrapper.api.requestText({ method: "GET", path: "/api" }, signal), /Unauthorized/);
  }
  await first.end("SIGINT");
  await using second = await startInstance(folder, ["--secure-port", port]);
  assert.notEqual(await readToken(bootstrap), token);
  await using bootstrapper = await connectWith(`${second.data}/bootstrap.kubeconfig`);
  assert.match(await bootstrapper.api.requestText({ method: "GET", path: "/api" }, signal), /APIVersions/);
});

test("startup faults, such as another instance on the same folder, are reported with a hint", async () => {
  await using folder = await createWorkplace();
  await using instance = await startInstance(folder);
  const at = (name: string) => folder.join(name);
  const fails = async (args: readonly string[], code: number, message: RegExp) => {
    const finished = await folder.refuse(code, "up", "--secure-port", "0", ...args);
    assert.match(finished, message);
    assert.match(finished, /\ntlsboot: hint: .+\n$/);
  };
  const copyCa = async (name: string, mode: number) => {
    await mkdir(at(`${name}/pki`), { recursive: true, mode: 0o700 });
    await copyFile(`${instance.data}/pki/ca.crt`, at(`${name}/pki/ca.crt`));
    await copyFile(`${instance.data}/pki/ca.key`, at(`${name}/pki/ca.key`));
    await chmod(at(`${name}/pki/ca.key`), mode);
  };
  await writeFile(at("tokens.csv"), "token,user\n");
  await writeFile(at("file"), "");
  await copyCa("open", 0o644);
  await copyCa("lonely", 0o600);
  await rm(at("lonely/pki/ca.key"));
  await copyCa("mixed", 0o600);
  await copyFile(`${instance.data}/pki/apiserver.key`, at("mixed/pki/ca.key"));
  await mkdir(at("corrupt"), { mode: 0o700 });
  await writeFile(
    at("corrupt/tlsboot.db"),
    "this is no database, and it is long enough to look like one\n".repeat(100),
  );

  await fails(["--data-dir", instance.data], 1, /tlsboot: error: cannot open .*tlsboot\.db.*/);
  await using connected = await connectWith(`${instance.data}/admin.kubeconfig`);
  assert.equal(await connected.api.requestText({ method: "GET", path: "/healthz" }, signal), "ok");
  await fails(
    ["--data-dir", "d1", "--token-auth-file", "tokens.csv"],
    1,
    /error: token file 'tokens\.csv' must have at least 3 columns \(token, user name, user uid\), found 2\n/,
  );
  await fails(
    ["--data-dir", "d2", "--secure-port", String(instance.port)],
    1,
    /error: cannot listen on "127\.0\.0\.1:\d+": the address is in use\n/,
  );
  await assert.rejects(stat(folder.join("d2")), { code: "ENOENT" });
  await fails(
    ["--data-dir", "open"],
    1,
    /error: cannot use CA key ".*open\/pki\/ca\.key": its mode 0644 lets other users access it\n.*hint: chmod 600 /,
  );
  await fails(["--data-dir", "lonely"], 1, /error: cannot (use|read) ".*lonely\/pki\/ca\.key": /);
  await fails(["--data-dir", "mixed"], 1, /error: cannot use the CA ".*mixed.*": /);
  await fails(["--data-dir", "corrupt"], 1, /error: cannot .*tlsboot\.db/);
  await fails(["--data-dir", "file/data"], 1, /error: cannot .*file/);
  await fails(
    ["--authorization-mode", "AlwaysAllow"],
    2,
    /error: --authorization-mode: "AlwaysAllow" is not supported: tlsboot always authorizes by Node,RBAC\n.*hint: omit it, and grant rights with kubectl /,
  );
  await fails(
    ["--data-dir", "d3", "--tls-cert-file", `${instance.data}/pki/apiserver.crt`],
    2,
    /error: --tls-cert-file and --tls-private-key-file go together\n/,
  );
  await fails(
    ["--data-dir", "d4", "--client-ca-file", "nowhere.crt"],
    1,
    /error: cannot read "nowhere\.crt": no such file\n/,
  );
});

test("tlsboot up that fails to start does not change the serving certificate, even if names have changed", async () => {
  await using folder = await createWorkplace();
  await using first = await startInstance(folder);
  await first.end("SIGTERM");
  const before = await readFile(`${first.data}/pki/apiserver.crt`, "utf8");
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const { port } = taken.address() as AddressInfo;
  await writeFile(folder.join("tokens.csv"), "half,a\n");
  for (
    const [args, want] of [
      [["--secure-port", String(port)], /the address is in use/],
      [["--secure-port", "0", "--bind-address", "192.0.2.1"], /cannot listen on "192\.0\.2\.1:0"/],
      [["--secure-port", "0", "--token-auth-file", "tokens.csv"], /token file 'tokens\.csv'/],
    ] as const
  ) {
    const line = ["up", "--data-dir", first.data, "--tls-san", "more.example.com", ...args];
    assert.match(await folder.refuse(1, ...line), want);
    assert.equal(await readFile(`${first.data}/pki/apiserver.crt`, "utf8"), before);
  }
  await new Promise<void>((resolve) => taken.close(() => resolve()));
});

test("tlsboot up on the network prints an address of this host, and how to choose another", async () => {
  await using folder = await createWorkplace();
  const hosts = listReachableHosts(await readInterfaces(createFilePort()));
  await using instance = await startInstance(folder, ["--bind-address", "0.0.0.0"]);
  const out = instance.running.stdout();
  const [host] = hosts;
  if (host === undefined) {
    assert.match(out, /Only this machine can reach it, because the host has no other address\./);
    return;
  }
  assert.equal(new URL(instance.url).hostname, host);
  assert.ok(out.includes("\n  tlsboot token create -o command --data-dir data\n"), out);
  assert.ok(out.includes(`\nMachines reach it at ${host}, an address of this host. `), out);
  const made = await folder.tlsboot("token", "create", "-o", "command");
  assert.match(made.stdout, new RegExp(`^tlsboot bootstrap --server https://${host.replaceAll(".", "\\.")}:`));
  assert.match(
    await folder.refuse(2, "up", "--data-dir", folder.join("other"), "--advertise-address", "::"),
    /"::" is not an address that a client can connect to\n/,
  );
});
