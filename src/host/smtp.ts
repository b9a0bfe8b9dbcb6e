import type { Transporter } from 'nodemailer';
import { BackupError } from '../errors/backup-error.ts';
import { headerText, isMailAddress, renderMail, type MailTemplate } from './mail-template.ts';
import type { HostPort } from './port.ts';

export type SendEmail = HostPort['sendEmail'];

/** A message as it is handed to the transport: header values are single lines, addresses are plain addresses. */
export interface OutgoingMail {
  readonly from: { readonly name: string; readonly address: string };
  readonly to: readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly html?: string;
}

export interface MailSenderOptions {
  /** Looks a template up by its id or name; null when there is none. */
  readonly template: (templateId: string) => Promise<MailTemplate | null>;
  /** Sender of templates that name none. */
  readonly from: { readonly name: string; readonly address: string };
  /** Hands one message over. Rejects when nobody accepted it: the caller keeps the mail and tries again. */
  readonly deliver: (mail: OutgoingMail, clientId: number) => Promise<void>;
}

/**
 * `sendEmail` of the host port for hosts without a mail service of their own: fills a template and hands one message for all
 * recipients to `deliver`. Throws ERR_CONFIG_INVALID when the template is missing or no recipient is a mail address.
 */
export function createMailSender(options: MailSenderOptions): SendEmail {
  return async ({ templateId, clientId, recipients, mergeVars }) => {
    const template = await options.template(templateId);
    if (template === null) {
      throw new BackupError('ERR_CONFIG_INVALID', `There is no e-mail template "${headerText(templateId)}".`);
    }
    // One address that was mistyped years ago must not keep the mail from the others.
    const to = [...new Set(recipients.map((address) => address.trim()).filter(isMailAddress))];
    if (to.length === 0) throw new BackupError('ERR_CONFIG_INVALID', 'The mail has no valid recipient.');
    const sender =
      template.fromEmail !== null && isMailAddress(template.fromEmail)
        ? { name: template.fromName ?? options.from.name, address: template.fromEmail }
        : options.from;
    const { subject, text, html } = renderMail(template, mergeVars);
    await options.deliver(
      {
        from: { name: headerText(sender.name), address: sender.address },
        to,
        subject,
        text,
        ...(html === undefined ? {} : { html }),
      },
      clientId,
    );
  };
}

/**
 * `deliver` by SMTP. `url` is `smtp://user:password@host:587` or `smtps://…:465`, percent-encoded where needed. With a password
 * and no TLS from the start, STARTTLS is required unless the server is on this machine.
 */
export function smtpDelivery(url: string): MailSenderOptions['deliver'] {
  const options = smtpOptions(url);
  let transport: Promise<Transporter> | null = null;
  return async (mail) => {
    // Loaded with the first mail: it takes 10 MB, and most processes that could send one never do.
    transport ??= import('nodemailer').then(({ default: nodemailer }) => nodemailer.createTransport(options));
    await (await transport).sendMail({ ...mail, to: [...mail.to], disableFileAccess: true, disableUrlAccess: true });
  };
}

/** Host name of the server in an SMTP address, for a default sender. */
export function smtpHost(url: string): string {
  return smtpOptions(url).host;
}

function smtpOptions(text: string) {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'smtp:' && url.protocol !== 'smtps:') || url.hostname === '') {
    throw new BackupError(
      'ERR_CONFIG_INVALID',
      'SMTP_URL is not valid. It has the form smtp://user:password@host:587 or smtps://user:password@host:465.',
    );
  }
  const secure = url.protocol === 'smtps:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const user = decodeURIComponent(url.username);
  const local = ['localhost', '127.0.0.1', '::1'].includes(host);
  return {
    host,
    port: url.port === '' ? (secure ? 465 : 587) : Number(url.port),
    secure,
    requireTLS: !secure && user !== '' && !local,
    ...(user === '' ? {} : { auth: { user, pass: decodeURIComponent(url.password) } }),
    connectionTimeout: 10_000,
    greetingTimeout: 10_000,
    socketTimeout: 30_000,
  };
}
