import { describe, expect, it } from '@jest/globals';
import { createServer, type AddressInfo } from 'node:net';
import { headerText, isMailAddress, renderMail, type MailTemplate } from '../../src/host/mail-template.ts';
import { createMailSender, smtpDelivery, type OutgoingMail } from '../../src/host/smtp.ts';

const template: MailTemplate = {
  subject: 'Backup {$job_name}: {$run_status}',
  message:
    '<p>Dear {$client_name},</p><p>{$job_name} ended: <b>{$run_status}</b></p>\n<div>{$job_log_report_html}</div>',
  plainText: false,
  fromName: null,
  fromEmail: null,
};

describe('a rendered mail', () => {
  it('escapes every value in HTML and none in the text version', () => {
    const mail = renderMail(template, { client_name: `<a href="x">&'`, job_name: 'Docs & more', run_status: 'Failed' });
    expect(mail.html).toContain('Dear &lt;a href=&quot;x&quot;&gt;&amp;&#39;,');
    expect(mail.html).toContain('<b>Failed</b>');
    expect(mail.text).toContain(`Dear <a href="x">&',\n\nDocs & more ended: Failed`);
    expect(mail.subject).toBe('Backup Docs & more: Failed');
  });

  it('brings no markup in through a variable that is meant to be HTML, only line breaks', () => {
    const mail = renderMail(template, {
      job_log_report: 'INFO one\nERROR <script>alert(1)</script>',
      job_log_report_html: 'INFO one<br><script>alert(1)</script>',
    });
    expect(mail.html).toContain('INFO one<br>\nERROR &lt;script&gt;');
    expect(mail.html).not.toContain('<script>');
    expect(mail.text).toContain('INFO one\nERROR <script>alert(1)</script>');
  });

  it('leaves a value alone that looks like a variable, and names no unknown ones', () => {
    const mail = renderMail(
      { ...template, plainText: true, message: '{$job_name}|{$nothing}|{$constructor}|{job_name}' },
      {
        job_name: '{$client_email}',
        client_email: 'secret@example.test',
      },
    );
    expect(mail.text).toBe('{$client_email}|||{job_name}');
    expect(mail.html).toBeUndefined();
  });

  it('has a subject of one line whatever a job is called', () => {
    const mail = renderMail(template, {
      job_name: 'a\r\nBcc: x@example.test\r\n\r\nbody\u2028',
      run_status: 'x'.repeat(500),
    });
    expect(mail.subject.startsWith('Backup a Bcc: x@example.test body : xxx')).toBe(true);
    expect([...mail.subject]).toHaveLength(200);
    expect(headerText('\tplain\u0000 ')).toBe('plain');
  });
});

describe('a mail address', () => {
  it.each(['a@example.test', "o'hara+x@sub.example.test", 'a.b@localhost'])('%j is one', (address) => {
    expect(isMailAddress(address)).toBe(true);
  });
  it.each([
    '',
    'a',
    'a@',
    '@b',
    'a b@c.de',
    'a@b.de,c@d.de',
    'A <a@b.de>',
    'a@b.de\r\nBcc: c@d.de',
    '"a b"@c.de',
    'a..b@c.de',
    'a@-b.de',
  ])('%j is none', (address) => {
    expect(isMailAddress(address)).toBe(false);
  });
});

describe('sending', () => {
  const send = (outbox: OutgoingMail[], found: MailTemplate | null) =>
    createMailSender({
      template: async () => found,
      from: { name: 'Host\r\nX: y', address: 'host@example.test' },
      deliver: async (mail) => void outbox.push(mail),
    });

  it('goes once to each valid recipient and drops the others', async () => {
    const outbox: OutgoingMail[] = [];
    await send(
      outbox,
      template,
    )({
      templateId: '1',
      clientId: 1,
      recipients: ['a@example.test', ' a@example.test', 'wrong\r\nBcc: b@example.test', 'c@example.test'],
      mergeVars: {},
    });
    expect(outbox[0]?.to).toEqual(['a@example.test', 'c@example.test']);
    expect(outbox[0]?.from).toEqual({ name: 'Host X: y', address: 'host@example.test' });
  });

  it('fails when nobody could be reached or the template is gone, so that the mail is kept', async () => {
    const mail = { templateId: '1', clientId: 1, mergeVars: {} };
    await expect(send([], template)({ ...mail, recipients: ['nobody'] })).rejects.toMatchObject({
      code: 'ERR_CONFIG_INVALID',
    });
    await expect(send([], null)({ ...mail, recipients: ['a@example.test'] })).rejects.toMatchObject({
      code: 'ERR_CONFIG_INVALID',
    });
  });

  it('hands a message to a real SMTP server in one piece', async () => {
    const server = await startSmtpSink();
    const sender = createMailSender({
      template: async () => ({ ...template, fromName: 'Backup', fromEmail: 'backup@example.test' }),
      from: { name: '', address: 'host@example.test' },
      deliver: smtpDelivery(`smtp://127.0.0.1:${server.port}`),
    });
    await sender({
      templateId: '1',
      clientId: 1,
      recipients: ['ada@example.test'],
      mergeVars: { job_name: 'Büro\r\nBcc: x@example.test', run_status: 'Failed' },
    });
    await server.stop();
    expect(server.envelope()).toEqual(['MAIL FROM:<backup@example.test>', 'RCPT TO:<ada@example.test>']);
    expect(server.headers()).toContain('From: Backup <backup@example.test>');
    expect(server.headers().filter((line) => /^bcc:/i.test(line))).toEqual([]);
  });

  it('names a wrong SMTP address, and does not print it', () => {
    expect(() => smtpDelivery('http://user:geheim@example.test')).toThrow(/^(?!.*geheim)SMTP_URL is not valid/);
  });
});

/** The least of RFC 5321 that takes one message. */
async function startSmtpSink() {
  const lines: string[] = [];
  let inMessage = false;
  const server = createServer((socket) => {
    socket.write('220 sink\r\n');
    let rest = '';
    socket.on('data', (bytes) => {
      const parts = (rest + bytes.toString('utf8')).split('\r\n');
      rest = parts.pop() ?? '';
      for (const line of parts) {
        lines.push(line);
        if (inMessage) {
          if (line === '.') {
            inMessage = false;
            socket.write('250 taken\r\n');
          }
        } else if (line === 'DATA') {
          inMessage = true;
          socket.write('354 go on\r\n');
        } else if (line === 'QUIT') socket.end('221 bye\r\n');
        else socket.write('250 ok\r\n');
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    envelope: () => lines.filter((line) => /^(MAIL|RCPT) /.test(line)),
    headers: () => {
      const start = lines.indexOf('DATA') + 1;
      return lines.slice(start, lines.indexOf('', start));
    },
    stop: async () => await new Promise<void>((resolve) => server.close(() => resolve())),
  };
}
