/** Requests and answers that travel without a network, as they are and with repaired checksums. */
import { parseCertificateChain } from "../../../core/machine/credential_pair.ts";
import { decideAnswer } from "../../../core/offline/accept_answer.ts";
import { type ArmorPart, encodeArmor, encodeQrTexts, readArmor, readQrTexts } from "../../../core/offline/armor.ts";
import {
  computeRequestId,
  encodeAnswers,
  encodeExport,
  encodeMachineRequest,
  findBundleKind,
  readAnswers,
  readRequests,
} from "../../../core/offline/bundle.ts";
import { findRequesterFault } from "../../../core/offline/decide_offline_request.ts";
import { createCaKey, generatePrivateKey } from "../../../core/pki/keys/keys.ts";
import { parsePemBlocks } from "../../../core/pki/asn1/pem.ts";
import { createCertificationRequest, parseCertificationRequest } from "../../../core/pki/x509/pkcs10.ts";
import { publicKeyPin } from "../../../core/pki/keys/key_names.ts";
import { createIssuingCa } from "../../support/issuing_ca.ts";
import { assertHolds, assertSame, toOutcome } from "../oracle.ts";
import { decodeText, encodeText, type Target } from "../target.ts";

const KIND = "tests";
const TEXT = encodeArmor(KIND, [
  { headers: { Site: "a3f0" }, sections: {} },
  {
    headers: { Name: "system:node:n1 ü%=3D " },
    sections: { "CA 1": [{ label: "CERTIFICATE", bytes: Uint8Array.from({ length: 60 }, (_, at) => at) }] },
  },
]);

export const armor: Target = {
  seeds: [
    TEXT,
    TEXT.replaceAll("\n", "\r\n"),
    TEXT.replaceAll(/^/gm, "> "),
    TEXT.replaceAll("=", "=3D"),
    `before\n${TEXT}after\n${TEXT}`,
    encodeArmor(KIND, [{ headers: {}, sections: { a: [] } }]),
  ].map(encodeText),
  words: [
    `# tlsboot ${KIND}, part 1 of 2\n`,
    `# tlsboot ${KIND}, part 100000 of 100000\n`,
    "# end of part 1\n",
    "# CA 1\n",
    "-----BEGIN CERTIFICATE-----\n",
    "-----END CERTIFICATE-----\n",
    "Document: ",
    "Checksum: ",
    "Name: %c3",
    "> ",
    "- -----",
    "=3D",
    "AAAA",
  ],
  maxBytes: 3 * 2 ** 20,
  run(input) {
    const { parts, faults } = readArmor(decodeText(input), KIND);
    assertHolds(parts.length > 0 || faults.length > 0, "there is a part or a fault");
    if (faults.length === 0) {
      const again = readArmor(encodeArmor(KIND, parts), KIND);
      assertSame([again.parts, again.faults], [parts, []], "parts");
    }
    return `${Math.min(parts.length, 3)} ${Math.min(faults.length, 3)}`;
  },
};

const NOW = new Date("2026-01-01T00:00:00Z");
const SUBJECT = { commonName: "system:node:n1" };

/**
 * `offline`: bundles of both kinds, as text or as scanned codes. Requests that are written again must not change.
 */
export async function offline(): Promise<Target> {
  const ca = await createIssuingCa(NOW);
  const key = await generatePrivateKey("ecdsa-p256");
  const facts = parseCertificationRequest(createCertificationRequest({ subject: SUBJECT, dnsNames: ["n1"] }, key));
  const chain = parseCertificateChain(await ca.issue({ publicKeyDer: key.publicKeyDer(), subject: SUBJECT }));
  if (!facts.ok || !chain.ok) throw new Error("the seeds cannot be made");
  const cas = [ca.authority.certificate];
  const request = {
    name: "n1",
    facts: facts.value,
    signerName: "example.com/web",
    usages: ["client auth", "server auth"],
    expirationSeconds: 86_400,
  };
  const site = [publicKeyPin(ca.authority.certificate)];
  const plain = await encodeMachineRequest(request, { site, requester: undefined });
  const proved = await encodeMachineRequest(request, {
    site,
    requester: { chain: chain.value, key: createCaKey(key) },
  });
  const approval = { type: "Approved", status: "True", lastUpdateTime: null, lastTransitionTime: null };
  const approved = { uid: "u1", requester: { username: "n1", groups: ["a"] }, approval };
  const origin = { id: "0".repeat(32), createdAt: "2026-11-25T12:00:00Z", server: "https://127.0.0.1:6443" };
  const exported = await encodeExport(origin, [{ ...request, approved }], createCaKey(key));
  const answer = async (text: string, outcome: Parameters<typeof encodeAnswers>[1][0]["outcome"]): Promise<string> => {
    const bundle = readRequests(text);
    if (!bundle.ok) throw new Error(bundle.error[0]);
    const answers = bundle.value.requests.map((one) => ({ request: one, outcome }));
    return await encodeAnswers(bundle.value, answers, { serverCas: cas, server: origin.server }, [ca.authority], NOW);
  };
  const refused = await answer(exported, { kind: "refused", message: "it is not one of ours" });
  const expected = {
    subject: "CN=system:node:n1",
    key: publicKeyPin(facts.value),
    requestId: computeRequestId(request),
    stored: chain.value[0],
    site: [],
    now: NOW,
  };
  return {
    seeds: [
      plain,
      proved.replaceAll("\n", "\r\n"),
      exported,
      await answer(plain, { kind: "issued", chain: chain.value }),
      refused,
      (encodeQrTexts(exported) ?? []).join("\n"),
      (encodeQrTexts(refused) ?? []).join("\n"),
    ].map(encodeText),
    words: [
      "TLSB1",
      "00010001",
      "# certificate request\n",
      "Lifetime: 1h0m0s\n",
      "CA: not known yet\n",
      "Approval: {",
      "UID: ",
      ...armor.words ?? [],
    ],
    maxBytes: 3 * 2 ** 20,
    async run(input) {
      const typed = decodeText(input);
      const scanned = readQrTexts(typed);
      const text = scanned.ok ? scanned.value : typed;
      const outcomes: string[] = [];
      for (const one of [text, repair(text)]) {
        const read = readRequests(one);
        if (read.ok) {
          const { origin: from, requests } = read.value;
          const again = readRequests(
            from.kind === "machine"
              ? await encodeMachineRequest(requests[0]!, { site: from.site, requester: undefined })
              : await encodeExport(from, requests, createCaKey(key)),
          );
          assertSame(again.ok && again.value.requests, requests, "requests");
          if (from.kind === "machine") findRequesterFault(requests[0]!, from, cas, NOW);
        }
        const answers = readAnswers(one);
        outcomes.push(
          read.ok ? "ok" : toOutcome(read.error.join()),
          answers.ok ? decideAnswer(answers.value, expected).kind : toOutcome(answers.error.join()),
        );
      }
      return outcomes.join(" ");
    },
  };
}

/** Rewrites the lines of a bundle with correct checksums. */
function repair(text: string): string {
  const parts: { headers: Record<string, string>; sections: Map<string, string> }[] = [];
  let heading: string | undefined;
  for (const line of text.split("\n").map((one) => one.trimEnd())) {
    const part = parts.at(-1);
    const [, name = "", value = ""] = /^([A-Za-z-]{1,40}): ?(.*)$/.exec(line) ?? [];
    if (line.startsWith("# tlsboot ")) {
      parts.push({ headers: {}, sections: new Map() });
      heading = undefined;
    } else if (line.startsWith("# ") && !line.startsWith("# end")) part?.sections.set(heading = line.slice(2), "");
    else if (heading !== undefined) part?.sections.set(heading, `${part.sections.get(heading)}${line}\n`);
    else if (part !== undefined && /^[A-Za-z]+(?:-[A-Za-z]+)*$/.test(name) && !/^(?:Document|Checksum)$/.test(name)) {
      part.headers[name] = (part.headers[name] ?? "") + value;
    }
  }
  if (parts.length === 0) return text;
  return encodeArmor(
    findBundleKind(text) ?? "requests",
    parts.map(({ headers, sections }): ArmorPart => ({
      headers,
      sections: Object.fromEntries(
        [...sections].map(([name, pem]) => [name, parsePemBlocks(pem).map(({ label, bytes }) => ({ label, bytes }))]),
      ),
    })),
  );
}
