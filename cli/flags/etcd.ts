/** Flags for the servers, certificates and prefix of an etcd, under kube-apiserver's names. */
import { DEFAULT_SETTINGS, parseEtcdServer } from "../../instance/settings.ts";
import { fileFlag, inGroup, parsedListFlag, textFlag } from "../framework/flags.ts";
import { needs, together } from "../framework/rules.ts";

export const ETCD_FLAGS = inGroup("etcd", {
  etcdServers: parsedListFlag({
    placeholder: "URLS",
    summary: "The etcd that holds the objects, instead of a database in --data-dir; URLs of its members (3.5.13 or " +
      "later), all http or all https. Any number of servers may share it.",
    parse: parseEtcdServer,
  }),
  etcdCafile: fileFlag({ summary: "PEM bundle of the CAs of etcd's certificates." }),
  etcdCertfile: fileFlag({ summary: "Client certificate for etcd, PEM; with --etcd-keyfile." }),
  etcdKeyfile: fileFlag({ summary: "Key of --etcd-certfile, PEM, readable by its owner only." }),
  etcdPrefix: textFlag({
    default: DEFAULT_SETTINGS.etcdPrefix,
    placeholder: "PREFIX",
    summary: "Prefix of all keys in etcd.",
  }),
});

export const ETCD_RULES = [
  together("etcdCertfile", "etcdKeyfile"),
  needs(["etcdCafile", "etcdCertfile", "etcdKeyfile", "etcdPrefix"], "etcdServers"),
] as const;
