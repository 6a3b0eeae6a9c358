//! `/login/` and `/logout/`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::failure::Failure;
use super::form::{self, Submission};
use super::layout;
use super::text::Lang;
use super::viewer::Frame;
use crate::app::App;
use crate::auth::login::{self, LoginError, LoginThrottle};
use crate::auth::session;
use crate::http::ClientInfo;
use crate::store::user;

#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    /// Where to go after signing in.
    next: Option<String>,
}

/// `GET /login/`: the form; who is signed in already goes on.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    lang: Lang,
    Query(parameters): Query<Parameters>,
    request: Request,
) -> Response {
    let next = login::safe_next(parameters.next.as_deref());
    if session::authenticate(&app, request.headers()).await.is_some() {
        return Redirect::to(next).into_response();
    }
    page(lang, next, "", None)
}

/// `POST /login/`
pub(super) async fn submit(
    State(app): State<Arc<App>>,
    Extension(throttle): Extension<Arc<LoginThrottle>>,
    lang: Lang,
    client: ClientInfo,
    request: Request,
) -> Result<Response, Failure> {
    let headers = request.headers().clone();
    let fields = form::read(request, &app).await?;
    let next = login::safe_next(Some(fields.get("next")));
    let email = fields.get("email");
    match login::check(&app, &throttle, client.ip, email, fields.get("password").to_owned()).await {
        Ok(person) => {
            let cookie = session::begin(&app, person.id, &client, &headers).await?;
            user::touch_login(&app.db, person.id).await?;
            tracing::info!(user.id = person.id.0, client.ip = %client.ip, "signed in");
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response())
        }
        Err(LoginError::Refused) => {
            tracing::info!(client.ip = %client.ip, "sign-in refused");
            Ok((StatusCode::UNAUTHORIZED, page(lang, next, email, Some(lang.sign_in_refused()))).into_response())
        }
        Err(LoginError::Throttled(wait)) => {
            tracing::warn!(client.ip = %client.ip, "sign-in throttled");
            let minutes = i64::try_from(wait.as_secs().div_ceil(60)).unwrap_or(i64::MAX);
            let page = page(lang, next, email, Some(&lang.sign_in_throttled(minutes)));
            let retry = [(header::RETRY_AFTER, wait.as_secs().max(1).to_string())];
            Ok((StatusCode::TOO_MANY_REQUESTS, retry, page).into_response())
        }
        Err(LoginError::Store(error)) => Err(error.into()),
    }
}

/// `POST /logout/`
pub(super) async fn leave(
    State(app): State<Arc<App>>,
    client: ClientInfo,
    submission: Submission,
) -> Result<Response, Failure> {
    let cookie = session::end(&app, &submission.viewer.session, &client).await?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/login/")).into_response())
}

fn page(lang: Lang, next: &str, email: &str, problem: Option<&str>) -> Response {
    let form: Markup = html! {
        div.card {
            h1 { (lang.sign_in()) }
            @if let Some(problem) = problem { p.note.bad role="alert" { (problem) } }
            form method="post" action="/login/" {
                input type="hidden" name="next" value=(next);
                div.field {
                    label for="email" { (lang.email()) }
                    input #email type="email" name="email" value=(email) required autocomplete="username"
                        autofocus[email.is_empty()];
                }
                div.field {
                    label for="password" { (lang.password()) }
                    input #password type="password" name="password" required autocomplete="current-password"
                        autofocus[!email.is_empty()];
                }
                button.btn.primary type="submit" { (lang.sign_in()) }
            }
        }
    };
    layout::gate(&Frame { lang, account: None }, lang.sign_in(), &form).into_response()
}
