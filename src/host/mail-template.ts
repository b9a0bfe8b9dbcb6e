/** A mail template as the host's table `tblemailtemplates` holds it. `{$name}` stands for a merge variable. */
export interface MailTemplate {
  readonly subject: string;
  readonly message: string;
  /** The message is plain text; otherwise it is HTML. */
  readonly plainText: boolean;
  readonly fromName: string | null;
  readonly fromEmail: string | null;
}

export interface RenderedMail {
  readonly subject: string;
  readonly text: string;
  /** Absent for a plain-text template. */
  readonly html?: string;
}

const VARIABLE = /\{\$([A-Za-z_][A-Za-z0-9_]*)\}/g;

/** RFC 5322 allows lines of 998 bytes; a subject longer than this is unreadable anyway. */
const LONGEST_SUBJECT = 200;

/**
 * Fills in the merge variables, once: a value that looks like a variable stays text. Unknown variables become empty, as in the
 * host's own mails. In an HTML body every value is escaped, without exception; `{$x_html}` is `x` with its line breaks kept, so
 * that no variable can bring markup of its own.
 */
export function renderMail(template: MailTemplate, mergeVars: Readonly<Record<string, string>>): RenderedMail {
  const valueOf = (name: string): string => (Object.hasOwn(mergeVars, name) ? (mergeVars[name] ?? '') : '');
  const plain = (name: string): string => {
    const base = name.replace(/_html$/, '');
    return Object.hasOwn(mergeVars, base) ? valueOf(base) : valueOf(name);
  };
  const subject = headerText(template.subject.replace(VARIABLE, (_, name: string) => plain(name)));
  const body = template.plainText ? template.message : htmlToText(template.message);
  const text = body.replace(VARIABLE, (_, name: string) => plain(name));
  if (template.plainText) return { subject, text };
  const html = template.message.replace(VARIABLE, (_, name: string) =>
    name.endsWith('_html') ? escapeHtml(plain(name)).replace(/\r?\n/g, '<br>\n') : escapeHtml(valueOf(name)),
  );
  return { subject, text, html };
}

/** Text for a mail header: one line without control characters, so that a value can never begin a header of its own. */
export function headerText(text: string): string {
  const line = text
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
    .replace(/ {2,}/g, ' ')
    .trim();
  const characters = [...line];
  return characters.length > LONGEST_SUBJECT ? `${characters.slice(0, LONGEST_SUBJECT - 1).join('')}…` : line;
}

/**
 * True for one plain mail address, `local@domain`, as a form accepts it: no display name, no comment, no quoted local part, no list.
 * Narrower than RFC 5321 on purpose: whatever passes means the same to every mail server.
 */
export function isMailAddress(text: string): boolean {
  return (
    text.length <= 254 &&
    /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*$/.test(
      text,
    )
  );
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
    .replaceAll('`', '&#96;');
}

/** The text version of an HTML template: good enough for readers without HTML, and never a security boundary. */
function htmlToText(html: string): string {
  return html
    .replace(/<(style|script|head)\b[\s\S]*?<\/\1\s*>/gi, '')
    .replace(/\s+/g, ' ')
    .replace(/<br\s*\/?>/gi, '\n')
    .replace(/<\/(p|div|h[1-6]|table|ul|ol|blockquote)\s*>/gi, '\n\n')
    .replace(/<\/(li|tr)\s*>/gi, '\n')
    .replace(/<li\b[^>]*>/gi, '- ')
    .replace(/<\/t[dh]\s*>/gi, ' ')
    .replace(/<[^>]*>/g, '')
    .replace(/&nbsp;/gi, ' ')
    .replace(/&lt;/gi, '<')
    .replace(/&gt;/gi, '>')
    .replace(/&quot;/gi, '"')
    .replace(/&#0*39;|&apos;/gi, "'")
    .replace(/&amp;/gi, '&')
    .replace(/[ \t]*\n[ \t]*/g, '\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim();
}
