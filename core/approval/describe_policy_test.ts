import assert from "node:assert/strict";
import { test } from "node:test";
import { BUILTIN_POLICIES } from "./builtin_policies.ts";
import { describeApprovalRule, describePolicy } from "./describe_policy.ts";

test("describePolicy() describes what a built-in policy grants, and by which evidence", () => {
  const lines = describePolicy(BUILTIN_POLICIES.get("kubelet-serving-trusting")!);
  assert.match(lines[0]!, /^Policy "kubelet-serving-trusting"\. Approves a kubelet's serving certificate/);
  assert.match(
    lines[1]!,
    /by the inventory .*, else by the serving certificate .*, else by the addresses that the node itself reports; never/,
  );
  assert.equal(
    lines[2],
    'Rule "kubelet-serving" is about requests for signer kubernetes.io/kubelet-serving from user system:node:* in group system:nodes.',
  );
  assert.ok(lines.includes("  It demands that every DNS name and address belongs to the node that asks."));
  assert.equal(lines.at(-1), "  The request is approved then; otherwise the request is left to a person.");
});

test("describeApprovalRule() describes a rule without requirements, and that absent names are refused", () => {
  const match = { signerNames: ["example.com/*"] };
  assert.deepEqual(describeApprovalRule({ name: "no", match, require: {}, then: "deny", otherwise: "leave" }), [
    'Rule "no" is about requests for signer example.com/*.',
    "  The request is denied.",
  ]);
  const denied = describeApprovalRule({
    name: "no",
    match,
    require: {
      subject: { commonNames: ["system:node:n1"], organizations: [] },
      names: { owned: false, atLeastOne: false, dns: ["*.pay.example"], ips: ["10.0.0.0/8"], uris: [], emails: [] },
    },
    then: "deny",
    otherwise: "next",
  });
  assert.deepEqual(denied.slice(1), [
    "  It demands that a common name is system:node:n1.",
    "  It demands that one of the names is *.pay.example or 10.0.0.0/8.",
    "  The request is denied then; otherwise the next rule is asked.",
  ]);
  const web = describeApprovalRule({
    name: "web",
    match,
    require: {
      subject: { commonNames: [], organizations: [] },
      usages: { allowed: ["server auth"], required: ["server auth"] },
      keys: [{ type: "RSA", minBits: 3072 }, { type: "Ed25519" }],
      lifetime: { maxMs: 86_400_000, mayBeAbsent: false },
      hours: { days: ["Mon"], from: 480, to: 1440 },
      permission: "web",
    },
    then: "approve",
    otherwise: "next",
  });
  assert.deepEqual(web.slice(1), [
    "  It demands that the common name is empty and the organizations are none.",
    "  It demands that there are no subject alternative names.",
    "  It demands that the usages are among server auth, with server auth.",
    "  It demands that the key is RSA of at least 3072 bits or Ed25519.",
    "  It demands that the lifetime asked for is at most 24h0m0s.",
    "  It demands that a lifetime is asked for.",
    "  It demands that it is Mon from 08:00 to 24:00 UTC.",
    "  It demands that the requester may create certificatesigningrequests/web.",
    "  The request is approved then; otherwise the next rule is asked.",
  ]);
});
