import { encodeArmor, readArmor } from "../../../core/lib/armor.ts";
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
    "\ufeff",
    "\r\n",
    "AAAA",
    "=",
    ":",
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
