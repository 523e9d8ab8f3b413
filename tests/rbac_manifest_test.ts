/**
 * Checks that `docs/rbac/approver.yaml`, `attestor.yaml` and `signer.yaml` are what `--print-rbac` prints, and that
 * `up` creates the role in `certificates.yaml`.
 */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { run } from "../cli/run.ts";
import { readYaml } from "../core/lib/yaml/document.ts";
import { createSignerObjectNames } from "../core/signing/signer_rbac.ts";
import { CERTIFICATE_VIEWER_ROLE } from "../instance/instance_rbac.ts";
import { createCapturedIo } from "./support/captured_io.ts";
import { POD_PROFILE } from "./support/pod_profile.ts";
import { createTempFolder } from "./support/temp.ts";
import { WEB } from "./support/test_profiles.ts";

async function printRbac(role: string, ...args: readonly string[]): Promise<string> {
  const io = createCapturedIo();
  assert.equal(await run([role, "--print-rbac", ...args], io, new AbortController().signal), 0, io.stderrText());
  return io.stdoutText();
}

for (const role of ["approver", "attestor", "signer"]) {
  test(`tlsboot ${role} --print-rbac prints docs/rbac/${role}.yaml`, async () => {
    assert.equal(await printRbac(role), await readFile(`docs/rbac/${role}.yaml`, "utf8"));
  });
}

test("tlsboot attestor --print-rbac allows it to read only its own Secret", async () => {
  const rules = parseAllDocuments(await printRbac("attestor")).flatMap((document) => document.toJS().rules ?? []);
  const secrets = rules.filter(({ resources }) => resources.includes("secrets"));
  assert.deepEqual(secrets.map(({ verbs, resourceNames }) => [verbs, resourceNames]), [
    [["create"], undefined],
    [["get"], ["tlsboot-attestor"]],
  ]);
});

test("tlsboot approver --print-rbac grants nodes, signers and writes only if they are needed", async () => {
  const plain = await printRbac("approver", "--leader-elect=false");
  assert.doesNotMatch(plain, /- nodes|leases|kubelet-serving/);
  const trusting = await printRbac("approver", "--policy", "kubelet-serving-trusting");
  assert.match(trusting, /- nodes\n {2}verbs:\n {2}- list\n {2}- watch\n/);
  assert.match(trusting, /- kubernetes\.io\/kube-apiserver-client-kubelet\n {2}- kubernetes\.io\/kubelet-serving\n/);
  assert.match(trusting, /namespace: default\nrules:\n- apiGroups:\n {2}- events\.k8s\.io\n/);
  const trial = await printRbac("approver", "--policy", "kubelet-serving-trusting", "--dry-run");
  assert.doesNotMatch(trial, /approval|signers|leases|configmaps/);
});

test("docs/rbac/certificates.yaml is the role that up creates", async () => {
  const parsed = readYaml(await readFile("docs/rbac/certificates.yaml", "utf8"));
  assert.ok(parsed.ok);
  assert.deepEqual(parsed.value, {
    ...CERTIFICATE_VIEWER_ROLE,
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
  });
});

test("tlsboot signer --print-rbac grants the given signers, and leases only for leader election", async () => {
  const one = await printRbac("signer", "--signer", "kubernetes.io/kubelet-serving", "--leader-elect=false");
  assert.match(one, /resourceNames:\n {2}- kubernetes\.io\/kubelet-serving\n {2}resources:\n {2}- signers\n/);
  assert.doesNotMatch(one, /leases|legacy/);
  // Another signer's manifest must not overwrite this one.
  assert.match(one, /name: tlsboot-signer\.kubernetes\.io\.kubelet-serving\n/);
  assert.match(one, /name: tlsboot:signer:kubernetes\.io\.kubelet-serving\n/);
  const elsewhere = await printRbac("signer", "--leader-elect-resource-namespace", "leases");
  assert.match(elsewhere, /name: tlsboot:signer\n {2}namespace: leases\nrules:\n- apiGroups:\n {2}- coordination/);
});

test("tlsboot signer --pod-certificates --print-rbac grants pod certificate requests, under names of its own", async () => {
  await using folder = await createTempFolder();
  await writeFile(folder.join("pods.yaml"), POD_PROFILE);
  const printed = await printRbac("signer", "--pod-certificates", "--profile", folder.join("pods.yaml"));
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
  await writeFile(folder.join("web.yaml"), WEB);
  const printed = await printRbac("signer", "--profile", folder.join("web.yaml"));
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

test("createSignerObjectNames() depends on the signers, not on their order, and keeps names short enough", () => {
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
