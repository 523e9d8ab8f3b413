/** The content of a certificate to request, which may change while a certificate manager runs. */
import type { CertificateTemplate } from "../core/bootstrap/rotation.ts";

/** Provides the current template and signals a change of it. */
export interface TemplateSource {
  current(): CertificateTemplate | undefined;
  /** Returns a signal that fires when the template changes after this call. */
  changed(): AbortSignal;
}

/** A source whose template can be replaced. */
export interface TemplateHolder extends TemplateSource {
  set(template: CertificateTemplate | undefined): void;
}

/** Creates a source whose template never changes. */
export function fixedTemplate(template: CertificateTemplate): TemplateSource {
  const never = new AbortController().signal;
  return { current: () => template, changed: () => never };
}

/** Creates a source whose template is set by its owner. */
export function createTemplateHolder(initial: CertificateTemplate | undefined): TemplateHolder {
  let template = initial;
  let change = new AbortController();
  return {
    current: () => template,
    changed: () => change.signal,
    set(next) {
      template = next;
      const previous = change;
      change = new AbortController();
      previous.abort();
    },
  };
}
