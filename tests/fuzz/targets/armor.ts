import { parseRequest } from "../../../core/csr/request.ts";
import { encodeArmor, readArmor } from "../../../core/lib/armor.ts";
import { parseAnswerBundle, sealAnswers } from "../../../core/offline/answer_bundle.ts";
import { encodeBundle, openBundle, readBundle } from "../../../core/offline/bundle.ts";
import { encodeQrTexts, readQrTexts } from "../../../core/offline/qr_text.ts";
import { parseRequestBundle, sealRequests } from "../../../core/offline/request_bundle.ts";
import { buildCsr } from "../../support/csr_builder.ts";
import { createSigningCa } from "../../support/signing_ca.ts";
import { assertHolds, assertSame } from "../oracle.ts";
import { decodeText, encodeText, type Target } from "../target.ts";

const LABEL = "TLSBOOT TEST";
const TEXT = encodeArmor(LABEL, [
  { headers: { Site: "a3f0" }, bytes: new Uint8Array(0) },
  { headers: { Name: "system:node:n1 ü%=" }, bytes: Uint8Array.from({ length: 60 }, (_, at) => at) },
]);

export const armor: Target = {
  name: "armor",
  seeds: [
    TEXT,
    TEXT.replaceAll("\n", "\r\n"),
    TEXT.replaceAll(/^/gm, "> "),
    `before\n${TEXT}after\n${TEXT}`,
    encodeArmor(LABEL, [{ headers: {}, bytes: new Uint8Array(1) }]),
  ].map(encodeText),
  words: [
    `-----BEGIN ${LABEL}-----\n`,
    `-----END ${LABEL}-----\n`,
    "Part: 1/2\n",
    "Part: 100000/100000\n",
    "Document: ",
    "Checksum: ",
    "Name: %c3",
    "> ",
    "- -----",
    "AAAA",
  ],
  maxBytes: 3 * 2 ** 20,
  run(input) {
    const { parts, faults } = readArmor(decodeText(input), LABEL);
    assertHolds(parts.length > 0 || faults.length > 0, "there is a part or a fault");
    if (faults.length === 0) {
      const again = readArmor(encodeArmor(LABEL, parts), LABEL);
      assertSame([again.parts, again.faults], [parts, []], "parts");
    }
    return `${Math.min(parts.length, 3)} ${Math.min(faults.length, 3)}`;
  },
};

/** Bundles of both kinds, as text or as the codes of a scanner. */
export async function bundle(): Promise<Target> {
  const ca = await createSigningCa();
  const approval = { type: "Approved", status: "True", lastUpdateTime: null, lastTransitionTime: null };
  const csr = await buildCsr({ metadata: { name: "n1", uid: "u1" }, conditions: [approval] });
  const facts = parseRequest(csr.spec.request);
  if (!facts.ok) throw new Error(facts.error);
  const now = new Date("2026-11-25T12:00:00Z");
  const header = { id: "0".repeat(32), createdAt: now, server: "https://127.0.0.1:6443" };
  const requests = await sealRequests(header, [{ csr, facts: facts.value }], ca.key);
  const opened = openBundle(requests);
  if (!opened.ok) throw new Error(opened.error[0]);
  const outcome = { kind: "refused", message: "no" } as const;
  const answers = await sealAnswers(opened.value.signed, [{ name: "n1", uid: "u1", outcome }], [ca], now);
  return {
    name: "bundle",
    seeds: [
      encodeBundle("requests", requests),
      encodeBundle("answers", answers),
      (encodeQrTexts({ kind: "requests", parts: requests }) ?? []).join("\n"),
      (encodeQrTexts({ kind: "answers", parts: answers }) ?? []).join("\n"),
    ].map(encodeText),
    words: ["TLSB1", "00010001", '"uid":"', '"contents":', "-----BEGIN TLSBOOT REQUESTS-----\n", ...armor.words],
    maxBytes: 3 * 2 ** 20,
    run(input) {
      const text = decodeText(input);
      const scanned = readQrTexts(text);
      const read = scanned.ok ? openBundle(scanned.value.parts) : readBundle("requests", text);
      const answered = scanned.ok ? read : readBundle("answers", text);
      const parsed = read.ok && parseRequestBundle(read.value).ok;
      return `${scanned.ok} ${parsed} ${answered.ok && parseAnswerBundle(answered.value).ok}`;
    },
  };
}
