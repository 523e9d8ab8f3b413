/** The words that hold commands. */
import type { CommandFamily } from "../framework/command.ts";

/** In no order; help follows the order of the commands. */
export const FAMILIES: readonly CommandFamily[] = [
  {
    word: "get",
    summary: "Display certificate signing requests",
    description: "Display certificate signing requests.",
    group: "Certificate Signing Request Commands",
  },
  {
    word: "describe",
    summary: "Show the details of a certificate signing request",
    description: "Show the details of a certificate signing request.",
    group: "Certificate Signing Request Commands",
  },
  {
    word: "delete",
    summary: "Delete certificate signing requests",
    description: "Delete certificate signing requests.",
    group: "Certificate Signing Request Commands",
  },
  {
    word: "ca",
    summary: "Make or show the certificate authority",
    description: "Make or show the certificate authority in --data-dir.",
    group: "Key and File Commands",
  },
  {
    word: "token",
    summary: "Create, list and delete bootstrap tokens",
    description:
      "Create, list and delete bootstrap tokens: what a machine shows when it asks for its first certificate.",
    group: "Key and File Commands",
  },
  {
    word: "kubeconfig",
    summary: "Write kubeconfig files",
    description: "Write kubeconfig files: where the API server is, whom to trust, and who you are.",
    group: "Key and File Commands",
  },
  {
    word: "docs",
    summary: "Print manual pages and licences",
    description: "Print what else is inside: manual pages, and the licences of everything.",
    group: "Other Commands",
  },
];
