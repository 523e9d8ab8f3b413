import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, condition, type CsrOptions, servingOptions } from "../../tests/support/csr_builder.ts";
import { findShortened, isShortForm, shortenNames, summarizeRequest } from "./request_summary.ts";

const CREATED = "2026-03-02T10:00:00Z";

for (
  const { name, options, want } of [
    {
      name: "the first request of a kubelet",
      options: {},
      want: ["node n1", "kubelet client", "token abcdef", "pending"],
    },
    {
      name: "a serving certificate that is approved",
      options: { ...servingOptions("n1"), conditions: [condition("Approved", CREATED)] },
      want: ["node n1", "kubelet serving", "node n1", "approved"],
    },
    {
      name: "a person's client certificate that is denied",
      options: {
        signerName: "kubernetes.io/kube-apiserver-client",
        commonName: "jane",
        organizations: ["developers"],
        username: "admin",
        conditions: [condition("Denied", CREATED)],
      },
      want: ["user jane", "API client", "admin", "denied"],
    },
    {
      name: "a custom signer with several names",
      options: {
        signerName: "example.com/web",
        commonName: "web",
        dnsNames: ["web.example.com", "www.example.com"],
        ipAddresses: ["10.0.0.7"],
        username: "system:serviceaccount:shop:web",
      },
      want: ["web.example.com +2", "example.com/web", "account shop/web", "pending"],
    },
    {
      name: "a custom signer with a common name only",
      options: { signerName: "example.com/web", commonName: "web", username: "" },
      want: ["web", "example.com/web", "unknown", "pending"],
    },
    {
      name: "a request that cannot be read",
      options: { request: "bm90IFBFTQ==", username: "system:anonymous" },
      want: ["(cannot be read)", "kubelet client", "anonymous", "pending"],
    },
  ] satisfies readonly { name: string; options: CsrOptions; want: readonly string[] }[]
) {
  test(`summarizeRequest() describes ${name}`, async () => {
    const summary = summarizeRequest(await buildCsr(options));
    assert.deepEqual([summary.for, summary.signer, summary.requestedBy, summary.state], want);
    assert.equal(summary.shortName, "csr-1");
  });
}

test("shortenNames() keeps unique prefixes, and never cuts a name without a digest", () => {
  const kubelet = "node-csr-abcdeAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
  const other = "node-csr-abcdeAABBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";
  const web = "web-example-com-0123456789abcdef0123";
  const short = shortenNames([kubelet.slice(0, 52), other.slice(0, 52), web, "csr-x7x9d", "n1"]);
  assert.deepEqual([...short.values()].sort(), [
    "csr-x7x9d",
    "n1",
    "node-csr-abcdeAAA",
    "node-csr-abcdeAAB",
    "web-example-com-01234",
  ]);
});

const ALL = [
  `node-csr-${"a".repeat(43)}`,
  `node-csr-aaaaa${"b".repeat(38)}`,
  "web-0123456789abcdef0123",
  "n1",
  "n10",
  "csr-x7x9d",
];

for (
  const { text, want } of [
    { text: "node-csr-aaaaa", want: ALL.slice(0, 2) },
    { text: "node-csr-aaaaab", want: ALL.slice(1, 2) },
    { text: "node-csr-aaaa", want: [] },
    { text: "web-01234", want: ALL.slice(2, 3) },
    { text: "web-0123", want: [] },
    // A prefix never stands for a name without a digest.
    { text: "n", want: [] },
    { text: "n1", want: [] },
    { text: "csr-x7x9", want: [] },
  ]
) {
  test(`findShortened() finds what "${text}" can mean`, () => {
    assert.deepEqual(findShortened(text, ALL), want);
    if (want.length > 0) assert.ok(isShortForm(text));
  });
}
