/** Name constraints in words. */
import type { NameConstraints, NameSubtrees } from "../../core/pki/name_constraints.ts";

const KINDS: readonly (readonly [key: keyof NameSubtrees, what: string])[] = [
  ["dnsNames", "DNS names"],
  ["ipRanges", "IP addresses"],
  ["emailAddresses", "email addresses"],
  ["uris", "URIs of"],
];

/** `DNS names example.org and below; IP addresses 10.0.0.0/8; other kinds of names freely`. */
export function constraintsText({ permitted, excluded }: NameConstraints): string {
  const free = KINDS.filter(([key]) => permitted[key].length === 0);
  const allowed = KINDS.filter(([key]) => permitted[key].length > 0).map(([key, what]) => {
    return `${what} ${permitted[key].map((subtree) => subtreeText(key, subtree)).join(", ")}`;
  });
  const refused = KINDS.filter(([key]) => excluded[key].length > 0).map(([key, what]) => {
    return `not for ${what} ${excluded[key].map((subtree) => subtreeText(key, subtree)).join(", ")}`;
  });
  const rest = free.length === 0 ? [] : [allowed.length === 0 ? "any name" : "other kinds of names freely"];
  return [...allowed, ...rest, ...refused].join("; ");
}

function subtreeText(key: keyof NameSubtrees, subtree: string): string {
  if (subtree === "") return "of any kind";
  if (key === "ipRanges" || subtree.includes("@")) return subtree;
  return subtree.startsWith(".") ? `below ${subtree.slice(1)}` : `${subtree} and below`;
}
