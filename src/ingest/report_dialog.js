// The dialog that Sentry.showReportDialog opens. It reads its own address: nothing is written into this file.
(() => {
  'use strict';
  const script = document.currentScript;
  if (!script) return;
  const address = script.src;
  const query = new URL(address).searchParams;

  const TEXTS = {
    en: {
      title: 'It looks like we are having issues.',
      subtitle: 'Our team has been notified.',
      subtitle2: 'If you would like to help, tell us what happened below.',
      labelName: 'Name',
      labelEmail: 'Email',
      labelComments: 'What happened?',
      labelClose: 'Close',
      labelSubmit: 'Send report',
      errorGeneric: 'The report could not be sent. Please try again.',
      errorFormEntry: 'Some fields are not right. Please correct them and try again.',
      successMessage: 'Your report has been sent. Thank you!',
    },
    zh: {
      title: '看起来出了点问题。',
      subtitle: '我们的团队已收到通知。',
      subtitle2: '如果您愿意帮忙，请在下面告诉我们发生了什么。',
      labelName: '姓名',
      labelEmail: '邮箱',
      labelComments: '发生了什么？',
      labelClose: '关闭',
      labelSubmit: '发送报告',
      errorGeneric: '报告发送失败，请重试。',
      errorFormEntry: '有些内容填写有误，请更正后重试。',
      successMessage: '报告已发送，谢谢！',
    },
  };

  // An option that a page leaves undefined arrives as that word.
  const option = (name) => {
    const value = query.get(name);
    return value && value !== 'undefined' && value !== 'null' ? value : '';
  };
  const lang = option('lang') || navigator.language || 'en';
  const known = /^zh\b/i.test(lang) ? TEXTS.zh : TEXTS.en;
  const text = (name) => option(name) || known[name];

  const STYLE = `
    dialog { box-sizing: border-box; width: min(32rem, calc(100vw - 2rem)); max-height: calc(100vh - 2rem); padding: 1.5rem;
      border: 1px solid GrayText; border-radius: .5rem; color-scheme: light dark; background: Canvas; color: CanvasText;
      font: 1rem/1.5 system-ui, sans-serif; text-align: start; }
    dialog::backdrop { background: rgb(0 0 0 / .5); }
    h2 { margin: 0 0 .5rem; font-size: 1.25rem; line-height: 1.3; }
    p { margin: 0 0 1rem; }
    label { display: block; margin: 0 0 .75rem; }
    input, textarea { box-sizing: border-box; display: block; width: 100%; margin-top: .25rem; padding: .5rem;
      border: 1px solid GrayText; border-radius: .25rem; background: Field; color: FieldText; font: inherit; }
    textarea { min-height: 7rem; resize: vertical; }
    menu { display: flex; flex-wrap: wrap; gap: .5rem; justify-content: flex-end; margin: 1rem 0 0; padding: 0; }
    button { padding: .5rem 1rem; border: 1px solid GrayText; border-radius: .25rem; background: Canvas; color: CanvasText;
      font: inherit; cursor: pointer; }
    button[type=submit] { border-color: #553c9a; background: #553c9a; color: #fff; }
    button:disabled { opacity: .6; cursor: default; }
    :focus-visible { outline: 2px solid #7c5cd6; outline-offset: 2px; }
    [hidden] { display: none; }
  `;

  const make = (name, properties, ...children) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  };
  const field = (name, control) => make('label', {}, text(name), control);

  const name = make('input', { name: 'name', autocomplete: 'name', maxLength: 255, value: option('name') });
  const email = make('input', {
    name: 'email', type: 'email', autocomplete: 'email', maxLength: 255, value: option('email'),
  });
  const comments = make('textarea', { name: 'comments', required: true, maxLength: 4096 });
  const message = make('p', { hidden: true, tabIndex: -1 });
  message.setAttribute('role', 'alert');
  const submit = make('button', { type: 'submit', textContent: text('labelSubmit') });
  const close = make('button', { type: 'button', textContent: text('labelClose') });
  const fields = make('div', {},
    make('p', {}, text('subtitle'), ' ', text('subtitle2')),
    field('labelName', name), field('labelEmail', email), field('labelComments', comments));
  const form = make('form', {},
    make('h2', { id: 'title', textContent: text('title') }), fields, message, make('menu', {}, close, submit));
  const dialog = make('dialog', { lang }, form);
  dialog.setAttribute('aria-labelledby', 'title');

  // Styles of the page stay out, and a policy without inline styles allows sheets that are made this way.
  const host = make('div', {});
  const root = host.attachShadow({ mode: 'open' });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];
  root.append(dialog);

  const tell = (name) => {
    message.textContent = text(name);
    message.hidden = false;
  };
  close.addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => {
    host.remove();
    window.postMessage('__sentry_reportdialog_closed__', '*');
  });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    submit.disabled = true;
    const body = new URLSearchParams({ name: name.value, email: email.value, comments: comments.value });
    try {
      const reply = await fetch(address, { method: 'POST', body, credentials: 'omit' });
      if (reply.ok) {
        fields.hidden = true;
        submit.hidden = true;
        tell('successMessage');
        close.focus();
        return;
      }
      tell(reply.status === 400 ? 'errorFormEntry' : 'errorGeneric');
    } catch {
      tell('errorGeneric');
    }
    submit.disabled = false;
  });

  (document.body || document.documentElement).append(host);
  dialog.showModal();
  (option('name') && option('email') ? comments : name).focus();
})();
