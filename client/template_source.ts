/** What a certificate should say, where that can change while a manager runs. */
import type { CertificateTemplate } from "../core/bootstrap/rotation.ts";

/** The template as it is now, and word of the next one. */
export interface TemplateSource {
  current(): CertificateTemplate | undefined;
  /** Fires once the template is another one than at this call. */
  changed(): AbortSignal;
}

/** A source that somebody changes. */
export interface TemplateHolder extends TemplateSource {
  set(template: CertificateTemplate | undefined): void;
}

/** A template that stays. */
export function fixedTemplate(template: CertificateTemplate): TemplateSource {
  const never = new AbortController().signal;
  return { current: () => template, changed: () => never };
}

/** A template that is set from outside. */
export function createTemplateHolder(initial: CertificateTemplate | undefined): TemplateHolder {
  let template = initial;
  let change = new AbortController();
  return {
    current: () => template,
    changed: () => change.signal,
    set(next) {
      template = next;
      const told = change;
      change = new AbortController();
      told.abort();
    },
  };
}
