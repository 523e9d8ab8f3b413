/**
 * Follows a host's addresses, so that its serving certificate is renewed for them
 * (`pkg/kubelet/certificate/kubelet.go`).
 */
import type { ServingNames } from "../core/bootstrap/node_addresses.ts";
import type { NodeName } from "../core/bootstrap/node_name.ts";
import { servingTemplate } from "../core/bootstrap/kubelet_templates.ts";
import { debounce, type Debounced } from "../core/lib/debounce.ts";
import type { Clock, Logger } from "../core/ports.ts";
import type { TemplateHolder } from "./template_source.ts";

/** The names to follow, and the template that they change. */
export interface ServingAddressesOptions {
  readonly nodeName: NodeName;
  /** Reads the current names and addresses. */
  readonly readNames: () => Promise<ServingNames>;
  /** Receives a new template when the names have changed for good. */
  readonly template: TemplateHolder;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** kubelet's `nodeStatusUpdateFrequency`, at which it reads the node's addresses. */
const PAUSE_MS = 10_000;
/** Three reads: a change that reverts within this time is a cable, a DHCP lease or a container network. */
const QUIET_MS = 30_000;

/**
 * Reads the names until the signal fires, then rejects with its reason. A host without an address keeps its template.
 */
export async function followServingAddresses(options: ServingAddressesOptions, signal: AbortSignal): Promise<never> {
  const { nodeName, readNames, template, clock, logger } = options;
  let state: Debounced<ServingNames> = { settled: toServingNames(template) };
  while (true) {
    const names = await readNames();
    if (servingTemplate(nodeName, names) !== undefined) {
      // The first address is taken at once: there is no certificate to lose.
      const quietMs = template.current() === undefined ? 0 : QUIET_MS;
      const next = debounce(state, names, clock.elapsedMs(), { quietMs, isEqual });
      if (!isEqual(next.settled, state.settled)) {
        logger.warn("addresses have changed", { ...names });
        template.set(servingTemplate(nodeName, names));
      }
      state = next;
    }
    await clock.sleep(PAUSE_MS, signal);
  }
}

function toServingNames(template: TemplateHolder): ServingNames {
  const { dnsNames = [], ipAddresses = [] } = template.current() ?? {};
  return { dnsNames, ipAddresses };
}

function isEqual(a: ServingNames, b: ServingNames): boolean {
  return a.dnsNames.join() === b.dnsNames.join() && a.ipAddresses.join() === b.ipAddresses.join();
}
