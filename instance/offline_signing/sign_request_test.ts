import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRequestFile } from "./sign_request.ts";
import { buildRequest, fromBase64 } from "../../tests/support/csr_builder.ts";
import { encodePem, parsePemBlocks } from "../../core/pki/asn1/pem.ts";

const PEM = fromBase64(await buildRequest({ subject: { commonName: "web" } }));
const [{ bytes: DER } = { bytes: new Uint8Array(0) }] = parsePemBlocks(PEM);
const OTHER = encodePem("CERTIFICATE", DER);
const asked = { signerName: "example.com/web", usages: [] };

for (
  const { name, content, want } of [
    { name: "DER", content: DER, want: /^web$/ },
    { name: "PEM between other text", content: `a\n${PEM}b\n`, want: /^web$/ },
    { name: "PEM as Windows writes it", content: PEM.replaceAll("CERT", "NEW CERT"), want: /^web$/ },
    { name: "no bytes", content: "", want: /^the file is empty$/ },
    { name: "no request", content: "web", want: /^asn1: / },
    { name: "PEM of no request", content: encodePem("CERTIFICATE REQUEST", Uint8Array.of(5)), want: /^asn1: / },
    { name: "half a PEM block", content: PEM.slice(0, -20), want: /^a PEM block is damaged$/ },
    { name: "half a block after a whole one", content: PEM + PEM.slice(0, -20), want: /^a PEM block is damaged$/ },
    { name: "a certificate", content: OTHER, want: /^it contains a CERTIFICATE, not a CERTIFICATE REQUEST$/ },
    { name: "a certificate after the request", content: PEM + OTHER, want: /^it contains more than one PEM block/ },
  ]
) {
  test(`parseRequestFile() accepts exactly one request: ${name}`, () => {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const read = parseRequestFile("r", bytes, asked);
    assert.match(read.ok ? read.value.facts.subject.commonName : read.error, want);
  });
}

for (
  const { options, want } of [
    { options: {}, want: { usages: [] } },
    { options: { usages: ["any"], expirationSeconds: 600 }, want: { usages: ["any"], expirationSeconds: 600 } },
    {
      options: { signerName: "kubernetes.io/kubelet-serving" },
      want: { usages: ["digital signature", "server auth"] },
    },
  ]
) {
  test(`parseRequestFile() makes a CSR of ${JSON.stringify(want)}`, () => {
    const read = parseRequestFile("r", DER, { ...asked, ...options });
    assert.ok(read.ok);
    const { request, signerName: _signerName, ...spec } = read.value.csr.spec;
    assert.deepEqual(spec, want);
    assert.equal(fromBase64(request ?? ""), PEM);
  });
}
