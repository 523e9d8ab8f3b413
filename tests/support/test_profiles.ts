/** Signing profiles, a parser of valid ones, and inventories. */
import assert from "node:assert/strict";
import { parseProfile } from "../../core/signing/profile_file.ts";
import type { ProfileSpec } from "../../core/signing/profile_spec.ts";

/** A profile with only the required keys. */
export const MINIMAL = `apiVersion: tlsboot/v1alpha1
kind: SigningProfile
usages: { allowed: [server auth, digital signature] }
lifetime: { max: 24h }
`;

/** A profile for web servers. */
export const WEB = `${MINIMAL}signerName: example.com/web
names: { dns: { allowed: ["*.example.com"] } }
`;

/** A profile with every key. */
export const FULL = `apiVersion: tlsboot/v1alpha1
kind: SigningProfile
signerName: example.com/web
description: Serving certificates of the web team.
subject:
  commonName: { allowed: ["web-*"] }
  organizations: { exactly: [web, team] }
  organizationalUnits: { allowed: ["unit *"], max: 2 }
names:
  dns: { allowed: ["*.web.example.com", "**.svc.example.com"], max: 3, wildcards: true }
  ips: { allowed: [10.0.0.0/24, "2001:db8::/32"] }
  uris: { allowed: ["spiffe://example.com/web/**"] }
  emails: { allowed: ["*@example.com"] }
  atLeastOne: true
usages:
  allowed: [digital signature, key encipherment, server auth]
  required: [server auth]
  default: [digital signature, server auth]
lifetime: { max: 90d, default: 30d, min: 1h }
keys:
  - { type: RSA, minBits: 3072, maxBits: 4096 }
  - { type: ECDSA, minBits: 256, maxBits: 256 }
  - { type: Ed25519 }
extensions:
  ocsp: [http://ocsp.example.com]
  caIssuers: [http://pki.example.com/ca.crt]
  crl: [http://pki.example.com/ca.crl]
  policies:
    - { oid: 1.3.6.1.4.1.32473.1, cps: "https://pki.example.com/cps" }
    - { oid: 2.23.140.1.2.1 }
  raw:
    - { oid: 1.3.6.1.5.5.7.1.24, der: 30 03 02 01 05 }
chain: false
`;

/** Formats an inventory of list items such as `- {name: n1}`. */
export function formatInventory(...items: readonly string[]): string {
  const head = "apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes:\n";
  return head + items.map((item) => `${item.trimEnd()}\n`).join("");
}

/** Reads a profile that must be valid. */
export function parseProfileOrThrow(text: string): ProfileSpec {
  const read = parseProfile(text);
  assert.ok(read.ok, read.ok ? "" : read.error.join("\n"));
  return read.value;
}
