import type { Knex } from 'knex';
import nodemailer from 'nodemailer';
import { z } from 'zod';
import { mailTemplate } from '../billing-tables.ts';
import { createMailSender, type SendEmail } from '../smtp.ts';

/** One mail of the demo as the mailbox page shows it. */
export interface DemoMail {
  readonly id: number;
  readonly recipients: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string | null;
  /** Epoch milliseconds. */
  readonly sentAt: number;
}

export interface Mailbox {
  readonly send: SendEmail;
  /** Newest first. */
  list(clientId: number): Promise<DemoMail[]>;
  /** One mail, only if it went to this client. */
  read(clientId: number, mailId: number): Promise<DemoMail | null>;
}

const LISTED = 100;

/** Mails are made by nodemailer as they would be for a server, and kept in a table: nothing leaves this machine. */
export function createMailbox(knex: Knex, clock: () => number = Date.now): Mailbox {
  const transport = nodemailer.createTransport({ jsonTransport: true });
  const send = createMailSender({
    template: (templateId) => mailTemplate(knex, templateId),
    from: { name: 'Northwind Hosting', address: 'no-reply@northwind.example.test' },
    async deliver(mail, clientId) {
      const sent = await transport.sendMail({
        ...mail,
        to: [...mail.to],
        disableFileAccess: true,
        disableUrlAccess: true,
      });
      const message = Message.parse(JSON.parse(sent.message));
      await knex('demo_mails').insert({
        client_id: clientId,
        recipients: message.to.map((recipient) => recipient.address).join(', '),
        subject: message.subject,
        body: message.text,
        html: message.html ?? null,
        sent_at_ms: clock(),
      });
    },
  });
  const mails = (clientId: number) =>
    knex('demo_mails').where('client_id', clientId).select({
      id: 'id',
      recipients: 'recipients',
      subject: 'subject',
      text: 'body',
      html: 'html',
      sentAt: 'sent_at_ms',
    });
  return {
    send,
    list: async (clientId) => MailRows.parse(await mails(clientId).orderBy('id', 'desc').limit(LISTED)),
    read: async (clientId, mailId) => MailRows.parse(await mails(clientId).where('id', mailId))[0] ?? null,
  };
}

const Message = z.object({
  to: z.array(z.object({ address: z.string() })),
  subject: z.string(),
  text: z.string(),
  html: z.string().optional(),
});
const MailRows = z.array(
  z.object({
    id: z.coerce.number(),
    recipients: z.string(),
    subject: z.string(),
    text: z.string(),
    html: z.string().nullable(),
    sentAt: z.coerce.number(),
  }),
);
