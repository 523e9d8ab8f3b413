/** The protocol of a ceremony, which is printed and signed by hand. */
import { formatTime } from "../../../core/kube/meta.ts";
import type { CertificateFacts } from "../../../core/pki/certificate.ts";
import { formatName } from "../../../core/pki/names.ts";
import { publicKeyPin } from "../../../core/pki/public_key_pin.ts";
import type { ShareCounts } from "../../authority/share_pages.ts";
import { formatKey } from "../../../core/pki/key_algorithm.ts";
import { describeNameConstraints } from "../../output/certificate_text.ts";
import type { Page, PageBlock } from "../../output/page.ts";
import type { CeremonyRecord } from "./ceremony_record.ts";

/** The certificates that a ceremony made, and where their keys are. */
export interface CeremonyResult {
  readonly root: CertificateFacts;
  readonly intermediate: CertificateFacts;
  readonly isNewRoot: boolean;
  readonly shares: ShareCounts | undefined;
  /** True when the key of the intermediate CA was made here and is carried to the server. */
  readonly hasOnlineKey: boolean;
  /** True when a program, such as that of an HSM, has the key of the root. */
  readonly hasProgram: boolean;
}

/** Describes a ceremony as a page: when, where, by which program, before whom, what was made, and what is left to do. */
export function describeCeremony(record: CeremonyRecord, result: CeremonyResult): Page {
  const { root, intermediate, isNewRoot, shares } = result;
  const [first] = record.runs;
  const present = [...new Set(record.runs.flatMap((run) => run.present))];
  const blanks = present.length > 0 ? present : ["Name", "Name", "Name"];
  return {
    title: `Protocol of a ceremony for ${formatName(root.subject)}`,
    blocks: [
      {
        kind: "text",
        text: isNewRoot
          ? "A root CA and an intermediate CA below it were made. All times are in UTC, by the clock of the machine."
          : "An intermediate CA was signed by a root CA of an earlier ceremony. All times are in UTC, by the clock of the machine.",
      },
      {
        kind: "facts",
        rows: [
          ["Begun", first?.time ?? ""],
          ["Finished", record.steps.at(-1)?.time ?? ""],
          ["Present", present.join("\n") || "(to be filled in by hand)"],
        ],
      },
      ...record.runs.flatMap((run, index): readonly PageBlock[] => [
        {
          kind: "heading",
          text: index === 0 ? "Machine and program" : `Continued after an interruption at ${run.time}`,
        },
        {
          kind: "facts",
          rows: [
            ["Host", run.host],
            ["tlsboot", run.version],
            ["Runs on", run.runtime],
            ["Executable", run.program],
            ["SHA-256 of it", run.programSha256 === undefined ? "could not be read" : group(run.programSha256)],
          ],
        },
      ]),
      { kind: "heading", text: "Steps" },
      { kind: "list", items: record.steps.map(({ time, text }) => `${time}  ${text}`) },
      { kind: "heading", text: "Root CA" },
      describeCertificate(root, describeRootKey(result)),
      { kind: "heading", text: "Intermediate CA" },
      describeCertificate(
        intermediate,
        result.hasOnlineKey
          ? "online/ca.key, under a passphrase of its own"
          : "at the online server, which made the request",
      ),
      { kind: "heading", text: "By hand" },
      {
        kind: "list",
        items: [
          "Compare the fingerprints above with those that tlsboot inspect online/ca.crt shows, on this and on another machine.",
          ...(shares === undefined ? [] : [
            `Print the ${shares.count} pages in shares, check each with tlsboot ca shares check, give it to its holder, and remove the folder.`,
          ]),
          ...(isNewRoot && !result.hasProgram
            ? ["Copy root/root.key to two media that are kept in different places, and to no machine with a network."]
            : []),
          `Carry online/ca.crt${
            result.hasOnlineKey ? " and online/ca.key" : ""
          } to the server, and import it there with tlsboot ca import --ca-cert ca.crt${
            result.hasOnlineKey ? " --ca-key ca.key" : ""
          }.`,
          `Plan the next ceremony before ${
            formatTime(intermediate.notAfter).slice(0, 10)
          }, when the intermediate CA ends.`,
        ],
      },
      { kind: "heading", text: "Signatures" },
      {
        kind: "text",
        text: "We were present, and what this protocol says is what we saw. The fingerprints were compared.",
      },
      { kind: "blanks", labels: ["Place and date", ...blanks] },
    ],
  };
}

function describeRootKey({ isNewRoot, hasProgram, shares }: CeremonyResult): string {
  if (hasProgram) return "held by a program";
  if (!isNewRoot) return "as in the protocol of the earlier ceremony";
  return shares === undefined
    ? "root/root.key, under a passphrase"
    : `root/root.key; ${shares.threshold} of ${shares.count} shares open it`;
}

function describeCertificate(certificate: CertificateFacts, key: string): PageBlock {
  const { subject, serialNumber, notBefore, notAfter, nameConstraints, sha256Fingerprint } = certificate;
  return {
    kind: "facts",
    rows: [
      ["Subject", formatName(subject)],
      ["Serial number", serialNumber],
      ["Key", formatKey(certificate)],
      ["Valid from", formatTime(notBefore)],
      ["Valid until", formatTime(notAfter)],
      ["May issue for", nameConstraints === undefined ? "any name" : describeNameConstraints(nameConstraints)],
      ["Private key", key],
      ["SHA-256", group(sha256Fingerprint)],
      ["Public key pin", publicKeyPin(certificate)],
    ],
  };
}

/** Groups the digits of a fingerprint by four, eight groups to a line, so that two people can compare it aloud. */
function group(hex: string): string {
  const groups = hex.toUpperCase().match(/.{1,4}/g) ?? [];
  return [groups.slice(0, 8).join(" "), groups.slice(8).join(" ")].join("\n").trimEnd();
}
