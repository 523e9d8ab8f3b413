import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, type CsrOptions } from "../../tests/support/csr_builder.ts";
import { parseRequest } from "../request/parse_request.ts";
import { BUILTIN_SIGNERS, checkProfile, findRefusals } from "./profile.ts";

const CLIENT = "kubernetes.io/kube-apiserver-client-kubelet";
const SERVING = "kubernetes.io/kubelet-serving";
const API_CLIENT = "kubernetes.io/kube-apiserver-client";
const LEGACY = "kubernetes.io/legacy-unknown";
const CLIENT_USAGES = "usages did not match [client auth digital signature key encipherment]";
const SERVING_USAGES = "usages did not match [digital signature key encipherment server auth]";
const serving = { dnsNames: ["example.com"], usages: ["digital signature", "server auth"] };

const cases: readonly { signer: string; name: string; edit: CsrOptions; want?: string }[] = [
  { signer: CLIENT, name: "two usages", edit: {} },
  { signer: CLIENT, name: "three usages", edit: { usages: ["key encipherment", "client auth", "digital signature"] } },
  { signer: CLIENT, name: "a usage twice", edit: { usages: ["client auth", "client auth", "digital signature"] } },
  { signer: CLIENT, name: "an empty node name", edit: { commonName: "system:node:" } },
  {
    signer: CLIENT,
    name: "no organization",
    edit: { organizations: [] },
    want: "subject organization is not system:nodes",
  },
  {
    signer: CLIENT,
    name: "one organization too many",
    edit: { organizations: ["system:nodes", "system:masters"] },
    want: "subject organization is not system:nodes",
  },
  { signer: CLIENT, name: "a DNS name", edit: { dnsNames: ["a"] }, want: "DNS subjectAltNames are not allowed" },
  {
    signer: CLIENT,
    name: "an email address",
    edit: { emailAddresses: ["a@b.c"] },
    want: "Email subjectAltNames are not allowed",
  },
  { signer: CLIENT, name: "an IP", edit: { ipAddresses: ["10.0.0.1"] }, want: "IP subjectAltNames are not allowed" },
  { signer: CLIENT, name: "a URI", edit: { uris: ["spiffe://a/b"] }, want: "URI subjectAltNames are not allowed" },
  {
    signer: CLIENT,
    name: "another common name",
    edit: { commonName: "mike" },
    want: "subject common name does not begin with system:node:",
  },
  { signer: CLIENT, name: "a usage too few", edit: { usages: ["client auth"] }, want: CLIENT_USAGES },
  {
    signer: CLIENT,
    name: "a usage too many",
    edit: { usages: ["client auth", "digital signature", "server auth"] },
    want: CLIENT_USAGES,
  },
  {
    signer: CLIENT,
    name: "another usage in place of digital signature",
    edit: { usages: ["client auth", "server auth"] },
    want: CLIENT_USAGES,
  },
  { signer: CLIENT, name: "no usages", edit: { usages: [] }, want: CLIENT_USAGES },
  {
    signer: CLIENT,
    name: "common name and usages both wrong (common name first)",
    edit: { commonName: "mike", usages: [] },
    want: "subject common name does not begin with system:node:",
  },
  { signer: SERVING, name: "a DNS name", edit: serving },
  { signer: SERVING, name: "an IP", edit: { ...serving, dnsNames: [], ipAddresses: ["10.0.0.1"] } },
  { signer: SERVING, name: "three usages", edit: { ...serving, usages: [...serving.usages, "key encipherment"] } },
  {
    signer: SERVING,
    name: "another organization",
    edit: { ...serving, organizations: ["x"] },
    want: "subject organization is not system:nodes",
  },
  {
    signer: SERVING,
    name: "no SAN",
    edit: { ...serving, dnsNames: [] },
    want: "DNS or IP subjectAltName is required",
  },
  {
    signer: SERVING,
    name: "an email address",
    edit: { ...serving, emailAddresses: ["a@b.c"] },
    want: "Email subjectAltNames are not allowed",
  },
  {
    signer: SERVING,
    name: "a URI",
    edit: { ...serving, uris: ["spiffe://a/b"] },
    want: "URI subjectAltNames are not allowed",
  },
  { signer: SERVING, name: "client auth", edit: { ...serving, usages: ["client auth"] }, want: SERVING_USAGES },
  {
    signer: SERVING,
    name: "common name and usages both wrong (usages first)",
    edit: { ...serving, commonName: "mike", usages: [] },
    want: SERVING_USAGES,
  },
  {
    signer: SERVING,
    name: "another common name",
    edit: { ...serving, commonName: "mike" },
    want: "subject common name does not begin with system:node:",
  },
  { signer: API_CLIENT, name: "any subject", edit: { commonName: "alice", organizations: [], dnsNames: ["a"] } },
  { signer: API_CLIENT, name: "client auth alone", edit: { usages: ["client auth"] } },
  {
    signer: API_CLIENT,
    name: "server auth",
    edit: { usages: ["client auth", "server auth", "any"] },
    want: "invalid usage for client certificate: server auth",
  },
  {
    signer: API_CLIENT,
    name: "no client auth",
    edit: { usages: ["digital signature"] },
    want: "missing required usage for client certificate: client auth",
  },
  { signer: LEGACY, name: "anything", edit: { commonName: "x", organizations: [], usages: [] } },
];

for (const { signer, name, edit, want } of cases) {
  test(`checkProfile() of ${signer} ${want === undefined ? "allows" : "refuses"}: ${name}`, async () => {
    const csr = await buildCsr(edit);
    const facts = parseRequest(csr.spec.request);
    const profile = BUILTIN_SIGNERS.get(signer);
    assert.ok(facts.ok && profile !== undefined);
    assert.equal(checkProfile(profile, facts.value, csr.spec.usages ?? []), want);
  });
}

const masters = { signerName: API_CLIENT, organizations: ["a", "system:masters"], usages: ["client auth"] };
const RESTRICTED = `use of ${API_CLIENT} signer with system:masters group is not allowed`;
const UNFIT = `the signer ${API_CLIENT} refuses it: missing required usage for client certificate: client auth`;

for (
  const { name, edit, want } of [
    { name: "a kubelet's request", edit: {}, want: [] },
    { name: "a request for administrators", edit: masters, want: [RESTRICTED] },
    { name: "administrators of another signer", edit: { ...masters, signerName: "example.com/x" }, want: [] },
    { name: "a request of another group", edit: { ...masters, organizations: ["a"] }, want: [] },
    {
      name: "what the signer and the admission refuse",
      edit: { ...masters, usages: ["digital signature"] },
      want: [RESTRICTED, UNFIT],
    },
    { name: "what the API refuses", edit: { ...masters, usages: [] }, want: ["spec.usages: Required value"] },
  ]
) {
  test(`findRefusals() predicts ${want.length} for ${name}`, async () => {
    assert.deepEqual(findRefusals(await buildCsr(edit)), want);
  });
}
