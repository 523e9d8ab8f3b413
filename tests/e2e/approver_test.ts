/** Tests the approver with policies, in `up` and as its own process, and the commands that explain its verdicts. */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { runTlsboot } from "../support/child.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { buildCsr, fromBase64 } from "../support/csr_builder.ts";
import { servingRequest, submitAs } from "../support/node_requests.ts";
import { bootstrapLine, connectWith, describeInstance, startInstance } from "../support/instance_process.ts";
import { createTempFolder } from "../support/temp.ts";
import { formatInventory } from "../support/test_profiles.ts";
import { eventually } from "../support/eventually.ts";

const signal = new AbortController().signal;

describeInstance("tlsboot approver", {
  args: ["--policy", "kubelet-serving", "--inventory", "inventory.yaml"],
  prepare: (folder) =>
    writeFile(folder.join("inventory.yaml"), formatInventory("- {name: a, dns: [a.example], ips: [10.0.0.1]}")),
}, (instance) => {
  const { tlsboot } = instance;
  const admin = () => `${instance.data}/admin.kubeconfig`;

  /** Waits until the message of a condition matches. */
  async function untilConditionMatches(name: string, text: RegExp): Promise<void> {
    await eventually(`a condition of "${name}" matches ${text}`, async () => {
      const { stdout } = await tlsboot("get", "csr", name, "-o", "jsonpath={.status.conditions[*].message}");
      return text.test(stdout) ? stdout : undefined;
    });
  }

  test("tlsboot up --policy approves the names and addresses of the node in the inventory, and records the verdict", async () => {
    await instance.running.waitFor(/\nPolicies for other requests: kubelet-serving\. To see why one /);
    await submitAs(admin(), await servingRequest("a", { ipAddresses: ["10.0.0.1"] }), signal);
    await untilConditionMatches("serving-a", /^Approved by rule "kubelet-serving" of policy "kubelet-serving": /);
    // The Event is created after the condition is written.
    await eventually("the Event for serving-a", async () => {
      const { stdout } = await tlsboot("describe", "csr", "serving-a");
      return /Events:\n.*\n.*\n +Normal +PolicyApproved .* tlsboot-approver +Approved by rule/.test(stdout) ||
        undefined;
    });
  });

  test("tlsboot policy explain and describe csr show why a request stays pending, and how to fix it", async () => {
    await submitAs(admin(), await servingRequest("b", { ipAddresses: ["10.0.0.1"] }), signal);
    await instance.running.waitFor(/"CSR left pending".*serving-b|serving-b.*"CSR left pending"/);
    const { code, stdout } = await tlsboot(
      ...["policy", "explain", "serving-b", "--policy", "kubelet-serving", "--inventory", "inventory.yaml"],
    );
    assert.equal(code, 3);
    assert.match(stdout, /^Request: {6}serving-b\nStatus: {7}Pending\n/);
    assert.match(
      stdout,
      /\n {2}rule selfnodeclient: does not apply: signer kubernetes\.io\/kubelet-serving does not match\n/,
    );
    assert.match(stdout, /\n {4}ok +subject +CN=system:node:b,O=system:nodes\n/);
    assert.match(
      stdout,
      /\n {4}no +ownership +b\.example by nothing, 10\.0\.0\.1 by nothing\n +why +nothing proves that b\.example belongs to node b; 10\.0\.0\.1 belongs to node a, by the inventory\n +fix +if b\.example, which no other node reports, is this machine's, add it to dns of node b in the inventory; correct the inventory/,
    );
    assert.match(stdout, /\nVerdict: +left pending: rule "kubelet-serving" of policy "kubelet-serving": [^\n]*\n$/);
    // Without flags, explain uses the policies that the approver publishes soon after its start.
    const published = await eventually("the published policies", async () => {
      const explained = await tlsboot("policy", "explain", "serving-b");
      return explained.stdout.includes("(published by the approver)") ? explained : undefined;
    });
    assert.equal(published.code, 3);
    const origin = /\nPolicies: +kubelet-serving, inventory of 1 \((?:published by the approver|from the flags)\)\n/;
    for (const text of [stdout, published.stdout]) assert.match(text, origin);
    assert.equal(published.stdout.replace(origin, "\n"), stdout.replace(origin, "\n"));
    const shipped = await tlsboot("policy", "explain", "serving-b", "-o", "json");
    assert.equal(shipped.code, 3);
    interface Facts {
      readonly verdict: string;
      readonly rule: string;
      readonly settings: unknown;
    }
    const { verdict, rule, settings }: Facts = JSON.parse(shipped.stdout);
    assert.deepEqual([verdict, rule], ["pending", "kubelet-serving"]);
    assert.deepEqual(settings, { source: "approver", policies: ["kubelet-serving"], inventory: 1 });
    const { stdout: described } = await tlsboot("describe", "csr", "serving-b");
    assert.match(
      described,
      /\nPolicy "kubelet-serving":\n {2}rule kubelet-serving: leaves it pending\n {4}no +ownership/,
    );
    assert.match(described, /\nVerdict: +left pending: rule "kubelet-serving" of policy "kubelet-serving": /);
    assert.equal(described.match(/^Verdict:/gm)?.length, 1);
  });

  for (const name of ["a", "a.example", "a.internal"]) {
    test(`tlsboot never suggests giving another node's name ${name} to the requester`, async () => {
      const csr = `advice-${name.replace(".", "-")}`;
      await submitAs(admin(), await servingRequest("b", { name: csr, dnsNames: [name] }), signal);
      for (const command of [["policy", "explain"], ["describe", "csr"]]) {
        const { stdout } = await tlsboot(...command, csr);
        assert.match(stdout, /\nVerdict: +left pending: /);
        assert.doesNotMatch(stdout, /add .* to /);
      }
      await tlsboot("delete", "csr", csr);
    });
  }

  test("tlsboot policy explain works offline, from files", async () => {
    const csr = await servingRequest("c", { ipAddresses: ["10.0.0.3"] });
    await writeFile(instance.folder.join("c.csr"), fromBase64(csr.spec.request ?? ""));
    await writeFile(instance.folder.join("c.json"), JSON.stringify(csr));
    const addresses = [{ type: "Hostname", address: "c.example" }, { type: "InternalIP", address: "10.0.0.3" }];
    const nodes = {
      kind: "List",
      apiVersion: "v1",
      items: [{ kind: "Node", metadata: { name: "c" }, status: { addresses } }],
    };
    await writeFile(instance.folder.join("nodes.json"), JSON.stringify(nodes));
    const offline = ["--nodes", "nodes.json", "--policy", "kubelet-serving-trusting", "--kubeconfig", "none"];
    const request = ["c.csr", "--signer", "kubernetes.io/kubelet-serving", "--user", "system:node:c"];
    const pem = await instance.succeed("policy", "explain", ...request, ...offline);
    assert.match(pem.stdout, /ownership +c\.example by node status, 10\.0\.0\.3 by node status\n/);
    assert.match(pem.stdout, /\nVerdict: +approved: Approved by rule/);
    assert.equal((await tlsboot("policy", "explain", "c.json", ...offline)).code, 0);
    const asOtherUser = await tlsboot(
      ...["policy", "explain", "c.csr", "--signer", "kubernetes.io/kubelet-serving", "--user", "system:node:d"],
      ...offline,
    );
    assert.equal(asOtherUser.code, 3);
    assert.match(asOtherUser.stdout, /why +common name "system:node:c" is not "system:node:d"\n/);
  });

  for (
    const { name, text, args, fault } of [
      {
        name: "a text file",
        text: "hello",
        args: [],
        fault: /cannot use "bad.txt": no CertificateSigningRequest found/,
      },
      {
        name: "PEM without a signer",
        text: "-----BEGIN CERTIFICATE REQUEST-----\n",
        args: [],
        fault: /it has no signer/,
      },
      { name: "invalid YAML", text: "apiVersion: [", args: [], fault: /cannot use "bad.txt"/ },
      {
        name: "PEM without a request",
        text: "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        args: ["--signer", "example.com/x"],
        fault: /cannot read the request of "bad.txt"/,
      },
    ]
  ) {
    test(`tlsboot policy explain refuses ${name}`, async () => {
      await writeFile(instance.folder.join("bad.txt"), text);
      assert.match(await instance.refuse(1, "policy", "explain", "bad.txt", ...args), fault);
    });
  }

  test("tlsboot policy explain reports a name that is neither a file nor a request", async () => {
    assert.match(
      await instance.refuse(1, "policy", "explain", "nothing"),
      /"nothing" is neither a file nor a request: /,
    );
  });

  test("tlsboot delete csr --pending-of deletes the pending requests of one requester, and nothing else", async () => {
    for (const name of ["x", "y"]) await submitAs(admin(), await servingRequest("e", { name }), signal);
    await submitAs(admin(), await servingRequest("f"), signal);
    const { code, stdout } = await tlsboot("delete", "csr", "--pending-of", "system:node:e");
    assert.equal(code, 0);
    assert.equal(stdout, '2 pending requests of "system:node:e" deleted\n');
    assert.equal((await tlsboot("get", "csr", "x")).code, 1);
    assert.equal((await tlsboot("get", "csr", "serving-f")).code, 0);
    assert.equal(
      (await tlsboot("delete", "csr", "--pending-of", "nobody")).stdout,
      '0 pending requests of "nobody" deleted\n',
    );
  });

  test("tlsboot up reloads its inventory: a faulty one changes nothing, a valid one is used at once", async () => {
    await submitAs(admin(), await servingRequest("g"), signal);
    await instance.running.waitFor(/serving-g/);
    await writeFile(
      instance.folder.join("inventory.yaml"),
      formatInventory("- {name: g, dns: [G.example]}", "- {name: g, ip: []}"),
    );
    await instance.running.waitFor(
      /cannot be used, the previous ones stay in use.*nodes\[0\]\.dns\[0\].*nodes\[1\]\.ip: unknown key/,
    );
    await writeFile(
      instance.folder.join("inventory.yaml"),
      formatInventory("- {name: a, dns: [a.example], ips: [10.0.0.1]}", "- {name: g, dns: [g.example]}"),
    );
    await untilConditionMatches("serving-g", /by inventory/);
  });

  test("tlsboot approver --dry-run writes Events and no condition", async () => {
    await writeFile(instance.folder.join("h.yaml"), formatInventory("- {name: h, dns: [h.example]}"));
    await using approver = instance.start(
      ...["approver", "--kubeconfig", admin(), "--policy", "kubelet-serving", "--inventory", "h.yaml", "--dry-run"],
    );
    await submitAs(admin(), await servingRequest("h"), signal);
    await approver.waitFor(/CSR would be approved/);
    const stdout = await eventually("the event of serving-h", async () => {
      const described = await tlsboot("describe", "csr", "serving-h");
      return /WouldApprove/.test(described.stdout) ? described.stdout : undefined;
    });
    assert.match(stdout, /Status: +Pending\n/);
    assert.match(stdout, /Normal +WouldApprove .* Dry run, nothing was written\. Approved by rule/);
  });

  test("tlsboot policy test passes the fixtures of the shipped policies", async () => {
    const { code, stdout } = await runTlsboot(["policy", "test", "tests/policies"]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /\n\n\d\d passed, 0 failed\n$/);
  });

  /** A fixture with two cases, one of which expects a wrong verdict. */
  const FIXTURE = `apiVersion: tlsboot/v1alpha1
kind: PolicyTest
policies: [kubelet-serving-trusting]
defaults:
  signerName: kubernetes.io/kubelet-serving
  user: system:node:a
  groups: [system:nodes]
  usages: [digital signature, server auth]
  request: {commonName: "system:node:a", organizations: ["system:nodes"], dns: [a.example]}
cases:
  - {name: good, nodes: [{name: a, dns: [a.example]}], expect: {verdict: approve, rule: kubelet-serving}}
  - {name: "<bad> & # wrong", expect: {verdict: approve}}
`;

  for (
    const { format, wanted } of [
      {
        format: [],
        wanted:
          /^fixtures\/one\.yaml\n {2}ok {4}good\n {2}FAIL {2}<bad> & # wrong\n {8}why +verdict is pending, not approve\n {8}wanted +approve\n {8}was +pending by rule kubelet-serving: [^]* {12}no +ownership +a\.example by nothing\n[^]*\n\n1 passed, 1 failed\n$/,
      },
      {
        format: ["-o", "junit"],
        wanted:
          /^<\?xml [^]*<testsuite name="fixtures\/one\.yaml" tests="2" failures="1">\n {4}<testcase classname="fixtures\/one\.yaml" name="good"\/>\n {4}<testcase classname="fixtures\/one\.yaml" name="&lt;bad&gt; &amp; # wrong">\n {6}<failure message="verdict is pending, not approve">why /,
      },
    ]
  ) {
    test(`tlsboot policy test ${format.join(" ")} reports each failure and its reason`, async () => {
      await mkdir(instance.folder.join("fixtures"), { recursive: true });
      await writeFile(instance.folder.join("fixtures/one.yaml"), FIXTURE);
      const { code, stdout } = await tlsboot("policy", "test", "fixtures", ...format);
      assert.equal(code, 1);
      assert.match(stdout, wanted);
    });
  }

  test("tlsboot policy test reports every fault in its files, and a folder without tests", async () => {
    await mkdir(instance.folder.join("faulty"), { recursive: true });
    await mkdir(instance.folder.join("empty"), { recursive: true });
    await writeFile(
      instance.folder.join("faulty/one.yaml"),
      "apiVersion: tlsboot/v1alpha1\nkind: PolicyTest\ncases:\n  - {name: x, expekt: {}, expect: {verdict: aprove}}\n",
    );
    await writeFile(
      instance.folder.join("faulty/two.yaml"),
      FIXTURE.replace("kubelet-serving-trusting", "missing.yaml"),
    );
    const faulty = await tlsboot("policy", "test", "faulty");
    assert.equal(faulty.code, 2);
    assert.equal(faulty.stdout, "");
    assert.match(faulty.stderr, /faulty\/one\.yaml: cases\[0\]\.expekt: unknown key; did you mean expect\?/);
    assert.match(
      faulty.stderr,
      /faulty\/one\.yaml: cases\[0\]\.expect\.verdict: unknown value "aprove"; did you mean approve\?/,
    );
    assert.match(faulty.stderr, /faulty\/two\.yaml: --policy: "missing\.yaml" is neither a policy nor a file/);
    for (
      const [name, fault] of [["empty", /it contains no file of kind PolicyTest/], [
        "gone",
        /no such file or folder/,
      ]] as const
    ) {
      assert.match(await instance.refuse(1, "policy", "test", name), fault);
    }
  });

  test("tlsboot up --auto-approve --policy stops a stolen node: a deny rule precedes the kubelet client rules", async () => {
    await using own = await createTempFolder();
    const head = "apiVersion: tlsboot/v1alpha1\nkind: ApprovalPolicy\nname: stop\nrules:\n";
    const rule = (name: string, more: string) =>
      `  - {name: ${name}, match: {signerNames: [kubernetes.io/*]${more}}, then: deny}\n`;
    await writeFile(own.join("stop.yaml"), head + rule("nobody", ", users: [nobody]"));
    await using other = await startInstance(own, ["--auto-approve", "--policy", "stop.yaml"]);
    await other.succeed(...bootstrapLine("n1"));
    await using thief = await connectWith(own.join("n1/kubeconfig"));
    const path = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    const conditions = async (name: string): Promise<string> =>
      await eventually(`a decision on "${name}"`, async () => {
        const got = await thief.api.requestObject<CertificateSigningRequest>(
          { method: "GET", path: `${path}/${name}` },
          signal,
        );
        const found = (got.status.conditions ?? []).map(({ type, message = "" }) => `${type}: ${message}`);
        return found.length === 0 ? undefined : found.join();
      });
    const ask = async (name: string): Promise<string> => {
      const body = await buildCsr({ name, commonName: "system:node:n1" });
      await thief.api.requestJson({ method: "POST", path, body }, signal);
      return await conditions(name);
    };
    assert.match(await ask("before"), /^Approved: Auto approving self kubelet client certificate/);
    await writeFile(own.join("stop.yaml"), head + rule("stolen", `, users: ["system:node:n1"]`));
    await other.running.waitFor(/policy or inventory reloaded/);
    assert.equal(
      await ask("after"),
      'Denied: Denied by rule "stolen" of policy "stop": it denies every request that it matches.',
    );
    const explained = await other.tlsboot("policy", "explain", "before", "--policy", "stop.yaml");
    assert.equal(explained.code, 3);
    assert.match(explained.stdout, /\nVerdict: +denied: Denied by rule "stolen"/);
  });

  test("tlsboot up grants its approver the permissions that a changed policy needs, and revokes the old ones", async () => {
    await using own = await createTempFolder();
    const policy = (signer: string) =>
      `apiVersion: tlsboot/v1alpha1\nkind: ApprovalPolicy\nname: web\nrules:\n  - {name: all, match: {signerNames: [${signer}]}, then: deny}\n`;
    await writeFile(own.join("web.yaml"), policy("example.com/*"));
    await using other = await startInstance(own, ["--policy", "web.yaml"]);
    const kubeconfig = `${other.data}/admin.kubeconfig`;
    const rights = async () => {
      const path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/tlsboot:approver";
      await using connected = await connectWith(kubeconfig);
      return JSON.stringify(await connected.api.requestJson({ method: "GET", path }, signal));
    };
    await submitAs(kubeconfig, await servingRequest("a", { signerName: "example.com/web" }), signal);
    await other.running.waitFor(/CSR denied.*serving-a/);
    assert.match(await rights(), /"kubernetes\.io\/kube-apiserver-client-kubelet","example\.com\/\*"/);
    await submitAs(kubeconfig, await servingRequest("b", { signerName: "example.org/web" }), signal);
    await writeFile(own.join("web.yaml"), policy("example.org/web"));
    await other.running.waitFor(/CSR denied.*serving-b/);
    assert.match(await rights(), /"kubernetes\.io\/kube-apiserver-client-kubelet","example\.org\/web"/);
    assert.doesNotMatch(await rights(), /example\.com|nodes/);
  });

  test("tlsboot approver --print-rbac needs neither kubeconfig nor inventory; an inventory without a policy is refused", async () => {
    await instance.succeed("approver", "--print-rbac", "--policy", "kubelet-serving");
    for (const args of [["approver", "--kubeconfig", admin()], ["up", "--data-dir", "other"]]) {
      assert.match(
        await instance.refuse(2, ...args, "--inventory", "inventory.yaml"),
        /--inventory has no effect without --policy/,
      );
    }
    assert.match((await tlsboot("approver")).stderr, /--kubeconfig is required/);
  });

  for (const command of [["up", "--secure-port", "0", "--data-dir", "other"], ["approver", "--kubeconfig", "none"]]) {
    test(`tlsboot ${command[0]} does not start with invalid policies, and reports every fault and its position`, async () => {
      await writeFile(
        instance.folder.join("policy.yaml"),
        "apiVersion: tlsboot/v1alpha1\nkind: ApprovalPolicy\nname: p\nrules:\n  - {name: r, match: {signerNames: [x]}, then: aprove}\n",
      );
      await writeFile(instance.folder.join("faulty.yaml"), formatInventory("- {name: g, dns: ['*.example']}"));
      const flags = ["--policy", "policy.yaml", "--policy", "kubelet-servin", "--inventory", "faulty.yaml"];
      const stderr = await instance.refuse(2, ...command, ...flags);
      assert.match(stderr, /error: policy\.yaml: rules\[0\]\.match\.signerNames\[0\]: "x" is not a signer name/);
      assert.match(stderr, /error: policy\.yaml: rules\[0\]\.then: unknown value "aprove"; did you mean approve\?/);
      assert.match(
        stderr,
        /error: --policy: "kubelet-servin" is neither a policy nor a file; did you mean kubelet-serving\?/,
      );
      assert.match(stderr, /error: faulty\.yaml: nodes\[0\]\.dns\[0\]: "\*\.example" is a wildcard/);
    });
  }

  test("tlsboot up --policy kubelet-serving needs the inventory", async () => {
    assert.match(
      await instance.refuse(2, "up", "--secure-port", "0", "--data-dir", "other", "--policy", "kubelet-serving"),
      /--inventory is missing: policy "kubelet-serving" uses it to prove/,
    );
  });

  test("tlsboot policy test covers holders of names, and rules that pass requests on to the next rule", async () => {
    await mkdir(instance.folder.join("claims"));
    const match = `{ signerNames: [example.com/web] }`;
    const subject = `subject: { commonNames: ["\${dns}"] }`;
    const usages = `usages: { allowed: [server auth] }`;
    await writeFile(
      instance.folder.join("claims/policy.yaml"),
      `apiVersion: tlsboot/v1alpha1
kind: ApprovalPolicy
name: first
rules:
  - { name: domain, match: ${match}, require: { names: { dns: ["**.example.com"] } }, then: next, otherwise: deny }
  - name: free
    match: ${match}
    require: { ${subject}, names: { unclaimed: true, dns: ["**.example.com"] }, ${usages} }
    then: approve
`,
    );
    await writeFile(
      instance.folder.join("claims/one.yaml"),
      `apiVersion: tlsboot/v1alpha1
kind: PolicyTest
policies: [policy.yaml]
defaults: { signerName: example.com/web, user: web-1, usages: [server auth], request: { commonName: a.b.example.com, dns: [a.b.example.com] } }
cases:
  - { name: free, expect: { verdict: approve, rule: free } }
  - { name: own, holders: [{ name: a.b.example.com, holder: web-1 }], expect: { verdict: approve } }
  - { name: taken, holders: [{ name: a.b.example.com, holder: web-2 }], expect: { verdict: pending, message: web-2 holds it } }
  - { name: outside, request: { dns: [example.org] }, expect: { verdict: deny, rule: domain } }
`,
    );
    const { stdout } = await instance.succeed("policy", "test", "claims/one.yaml");
    assert.match(stdout, /4 passed/);
  });
});
