/** `docs/rbac/signer.yaml` is what `tlsboot signer --print-rbac` prints. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { run } from "../cli/run.ts";
import { createSignerObjectNames } from "../core/signing/signer_rbac.ts";
import { createCapturedIo } from "./support/captured_io.ts";
import { POD_PROFILE } from "./support/pod_profile.ts";
import { createTempFolder } from "./support/temp.ts";

async function printRbac(...args: readonly string[]): Promise<string> {
  const io = createCapturedIo();
  assert.equal(await run(["signer", "--print-rbac", ...args], io, new AbortController().signal), 0, io.stderrText());
  return io.stdoutText();
}

test("tlsboot signer --print-rbac prints docs/rbac/signer.yaml", async () => {
  assert.equal(await printRbac(), await readFile("docs/rbac/signer.yaml", "utf8"));
});

test("tlsboot signer --print-rbac grants the signers that are named, and leases where it elects", async () => {
  const one = await printRbac("--signer", "kubernetes.io/kubelet-serving", "--leader-elect=false");
  assert.match(one, /resourceNames:\n {2}- kubernetes\.io\/kubelet-serving\n {2}resources:\n {2}- signers\n/);
  assert.doesNotMatch(one, /leases|legacy/);
  // Another signer's manifest must not take this one's rights away.
  assert.match(one, /name: tlsboot-signer\.kubernetes\.io\.kubelet-serving\n/);
  assert.match(one, /name: tlsboot:signer:kubernetes\.io\.kubelet-serving\n/);
  const elsewhere = await printRbac("--leader-elect-resource-namespace", "leases");
  assert.match(elsewhere, /name: tlsboot:signer\n {2}namespace: leases\nrules:\n- apiGroups:\n {2}- coordination/);
});

test("tlsboot signer --pod-certificates --print-rbac grants requests for pods and bundles, under names of its own", async () => {
  await using folder = await createTempFolder();
  await writeFile(folder.join("pods.yaml"), POD_PROFILE);
  const printed = await printRbac("--pod-certificates", "--profile", folder.join("pods.yaml"));
  assert.match(printed, /resources:\n {2}- podcertificaterequests\n {2}verbs:\n {2}- list\n {2}- watch\n-/);
  assert.match(
    printed,
    /resourceNames:\n {2}- example\.com\/pods\n {2}resources:\n {2}- signers\n {2}verbs:\n {2}- sign\n {2}- attest\n/,
  );
  assert.match(printed, /name: tlsboot-pod-signer\.example\.com\.pods\n/);
  assert.doesNotMatch(printed, /certificatesigningrequests|approval|secrets/);
});

test("tlsboot signer --profile --print-rbac grants what a custom signer needs, and nothing else", async () => {
  await using folder = await createTempFolder();
  const profile = "apiVersion: tlsboot/v1alpha1\nkind: SigningProfile\nsignerName: example.com/web\n" +
    "usages: { allowed: [server auth] }\nlifetime: { max: 24h }\n";
  await writeFile(folder.join("web.yaml"), profile);
  const printed = await printRbac("--profile", folder.join("web.yaml"));
  const objects = parseAllDocuments(printed).map((document) => document.toJS());
  const [certificates, leases] = ["certificates.k8s.io", "coordination.k8s.io"].map((group) => ({
    apiGroups: [group],
  }));
  assert.deepEqual(
    objects.filter(({ rules }) => rules !== undefined).map(({ kind, metadata, rules }) => [
      kind,
      metadata.namespace,
      rules,
    ]),
    [
      ["ClusterRole", undefined, [
        { ...certificates, resources: ["certificatesigningrequests"], verbs: ["get", "list", "watch"] },
        { ...certificates, resources: ["certificatesigningrequests/status"], verbs: ["update"] },
        { ...certificates, resources: ["signers"], resourceNames: ["example.com/web"], verbs: ["sign"] },
      ]],
      ["Role", "kube-system", [{
        apiGroups: [""],
        resources: ["configmaps"],
        resourceNames: ["extension-apiserver-authentication"],
        verbs: ["get"],
      }]],
      ["Role", "kube-system", [
        // RBAC cannot restrict create to a name.
        { ...leases, resources: ["leases"], verbs: ["create"] },
        {
          ...leases,
          resources: ["leases"],
          resourceNames: ["tlsboot-signer.example.com.web"],
          verbs: ["get", "update"],
        },
      ]],
    ],
  );
  // Every role is bound to the account of this signer alone.
  const bound = objects.filter(({ subjects }) => subjects !== undefined).map(({ subjects }) => subjects);
  const subject = { kind: "ServiceAccount", name: "tlsboot-signer.example.com.web", namespace: "kube-system" };
  assert.deepEqual(bound, [[subject], [subject], [subject]]);
});

test("signerObjectNames() differ by signers, whatever the order, and are never too long", () => {
  assert.deepEqual(createSignerObjectNames([]), {
    serviceAccount: "tlsboot-signer",
    lease: "tlsboot-signer",
    role: "tlsboot:signer",
  });
  assert.deepEqual(createSignerObjectNames(["b.c/d", "a.b/c"]), createSignerObjectNames(["a.b/c", "b.c/d"]));
  const long = (last: string) => [..."abcdefgh"].map((name) => `${name}.example.com/${"x".repeat(40)}${last}`);
  const lengths = Object.values(createSignerObjectNames(long(""))).map((name: string) => name.length);
  assert.ok(lengths.every((length) => length <= 253));
  assert.notDeepEqual(createSignerObjectNames(long("")), createSignerObjectNames(long("y")));
});
