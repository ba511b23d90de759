//! A way to services that answer what a test tells them to.
use bytes::Bytes;
use junglegrid::orchestrator::apps::{Answer, Gate, Question};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Status and body, or why there is no answer.
type Said = Result<(u16, &'static str), String>;

/// What a service says that says nothing, not even that it is not there.
pub(crate) const SILENCE: &str = "silence";

/// What services answer, by the path that they are asked for.
#[derive(Debug, Default)]
pub(crate) struct Script {
    answers: Mutex<BTreeMap<String, Said>>,
    asked: Mutex<BTreeMap<String, u32>>,
    origins: Mutex<BTreeMap<String, String>>,
}

impl Script {
    pub(crate) fn says(&self, path: &str, answer: Result<(u16, &'static str), &str>) {
        let answer = answer.map_err(str::to_owned);
        self.answers.lock().unwrap().insert(path.into(), answer);
    }

    pub(crate) fn asked(&self, path: &str) -> u32 {
        self.asked.lock().unwrap().get(path).copied().unwrap_or(0)
    }

    /// The origin under which a service was asked last.
    pub(crate) fn origin(&self, path: &str) -> String {
        self.origins.lock().unwrap()[path].clone()
    }
}

#[async_trait::async_trait]
impl Gate for Script {
    async fn probe(&self, origin: &str, question: Question) -> Result<Answer, String> {
        let path = question.path;
        self.origins
            .lock()
            .unwrap()
            .insert(path.clone(), origin.into());
        *self.asked.lock().unwrap().entry(path.clone()).or_default() += 1;
        let answer = self.answers.lock().unwrap().get(&path).cloned();
        if answer
            .as_ref()
            .is_some_and(|said| *said == Err(SILENCE.into()))
        {
            std::future::pending::<()>().await;
        }
        let (status, body) = answer.unwrap_or_else(|| Err("connection refused".into()))?;
        Ok(Answer {
            status,
            body: Bytes::from_static(body.as_bytes()),
        })
    }
}
