/** docs/guides/new_ca.md, typed in step by step: no one who followed it is locked out. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "../support/child.ts";
import { readGuide, toScript } from "../support/guide.ts";
import { createTempFolder, findServerPort } from "../support/temp.ts";
import { createShell } from "../support/interop/shell.ts";

/** The flags that the text of the page starts the instance with: first that of its second step, then those of its fourth. */
async function readFlags(): Promise<readonly string[]> {
  const page = await readFile(join(ROOT, "docs", "guides", "new_ca.md"), "utf8");
  return [...page.matchAll(/`(--(?:client-ca|cluster-signing)\S+ \S+)`/g)].map(([, flag = ""]) => flag);
}

/** The commands of the page, for an instance in `data`. */
async function steps(server: string): Promise<readonly string[]> {
  const { blocks } = await readGuide("new_ca");
  return blocks.map((block) =>
    block.replaceAll("/var/lib/tlsboot", "data").replaceAll("https://boot.example.com:6443", server)
  );
}

test("docs/guides/new_ca.md: after a new CA every client that followed the page is served, and no client of the old one", async () => {
  await using folder = await createTempFolder();
  const shell = await createShell(folder);
  const port = await findServerPort();
  const server = `https://127.0.0.1:${port}`;
  const blocks = await steps(server);
  assert.equal(blocks.length, 5);
  const [make, share, anew, verify, replace] = blocks as [string, string, string, string, string];
  const run = async (line: string): Promise<string> => {
    const { code, stdout, stderr } = await shell.run(`set -e\n${line}`);
    assert.equal(code, 0, `${line}: ${stderr}`);
    return stdout;
  };
  /** Starts the instance for as long as a step takes. */
  const up = async (flags: string, step: () => Promise<void>): Promise<void> => {
    await using instance = shell.start(`tlsboot up --data-dir data --secure-port ${port} --auto-approve ${flags}`);
    await instance.waitFor(/tlsboot is up at/);
    await step();
    instance.kill("SIGTERM");
    await instance.finished();
  };
  const whoami = (kubeconfig: string) => `kubectl auth whoami -o name --kubeconfig ${kubeconfig}`;
  const isServed = async (...kubeconfigs: readonly string[]) => {
    for (const kubeconfig of kubeconfigs) await run(whoami(kubeconfig));
  };
  const bootstrap = (name: string, from: string) =>
    `tlsboot bootstrap --bootstrap-kubeconfig ${from} --hostname-override ${name} ` +
    `--kubeconfig ${name}/kubeconfig --cert-dir ${name}/pki`;

  await up("", async () => {
    for (const name of ["n1", "late"]) await run(bootstrap(name, "data/bootstrap.kubeconfig"));
  });
  await run(make);
  const flags = await readFlags();
  assert.equal(flags.length, 3);
  const [believed = ""] = flags;
  await up(believed, async () => {
    await run(share);
    await isServed("n1/kubeconfig", "late/kubeconfig", "data/admin.kubeconfig");
  });
  await up(
    flags.join(" "),
    async () => {
      await isServed("n1/kubeconfig", "late/kubeconfig");
      assert.notEqual((await shell.run(verify)).code, 0, "it was signed by the old CA");
      await run(toScript([anew], port));
      await run(verify);
      await run(bootstrap("n2", "bootstrap.kubeconfig"));
      await isServed("n1/kubeconfig", "n2/kubeconfig", "late/kubeconfig");
    },
  );
  await run(replace);
  await up("", async () => {
    await isServed("n1/kubeconfig", "n2/kubeconfig", "data/admin.kubeconfig");
    assert.notEqual((await shell.run(whoami("late/kubeconfig"))).code, 0, "the old CA is still believed");
    await run(bootstrap("n3", "data/bootstrap.kubeconfig"));
    const again = anew.replaceAll("n1", "late").replace(" bootstrap.kubeconfig", " data/bootstrap.kubeconfig");
    await run(toScript([again], port));
    await isServed("n3/kubeconfig", "late/kubeconfig");
    const info = await run("kubectl get cm cluster-info -n kube-public -o yaml --kubeconfig data/admin.kubeconfig");
    const ca = (await readFile(folder.join("work/new/pki/ca.crt"))).toString("base64");
    assert.ok(info.includes(ca), "cluster-info names the new CA");
    const bundles = await run(
      "kubectl get clustertrustbundles --field-selector spec.signerName=kubernetes.io/kube-apiserver-serving " +
        "-o 'jsonpath={.items[*].spec.trustBundle}' --kubeconfig data/admin.kubeconfig",
    );
    assert.equal(bundles, await readFile(folder.join("work/new/pki/ca.crt"), "utf8"));
  });
});
