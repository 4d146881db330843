//! How a broker is connected to.

use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{LastWill, QoS, TlsConfiguration, Transport};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use url::Url;

use super::{LONGEST, Login, MqttError, MqttOptions};

/// The status is told this often.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How the broker is connected to.
pub(super) fn connecting(options: &MqttOptions) -> Result<rumqttc::MqttOptions, MqttError> {
    let topic = &options.topic;
    let is_unfit = |it: char| matches!(it, '+' | '#') || it.is_control();
    if topic.is_empty()
        || topic.starts_with('/')
        || topic.ends_with('/')
        || topic.contains(is_unfit)
    {
        let topic = topic.clone();
        return Err(MqttError::Topic { topic });
    }
    let fail = |reason: &str| {
        let shown = options
            .url
            .rsplit_once('@')
            .map_or(options.url.as_str(), |(_, host)| host);
        MqttError::Url {
            url: shown.to_owned(),
            reason: reason.to_owned(),
        }
    };
    let url = Url::parse(&options.url).map_err(|error| fail(&error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fail(
            "others can read a password there; put user and password into a file",
        ));
    }
    let (usual, is_safe) = match url.scheme() {
        "mqtt" => (1883, false),
        "mqtts" => (8883, true),
        _ => return Err(fail("it begins with neither mqtt:// nor mqtts://")),
    };
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| fail("it names no host"))?;
    if !matches!(url.path(), "" | "/") || url.query().is_some() {
        return Err(fail("something follows the host; the topic is named apart"));
    }
    // 23 letters and digits at most, which every broker takes (MQTT-3.1.3-5).
    let process = RandomState::new().hash_one(std::process::id());
    let name = format!("vcpclip{process:016x}");
    let mut connecting = rumqttc::MqttOptions::new(name, host, url.port().unwrap_or(usual));
    connecting
        .set_keep_alive(KEEP_ALIVE)
        .set_clean_session(true)
        .set_max_packet_size(1 << 20, LONGEST);
    let will = r#"{"state":"offline"}"#;
    let status = format!("{}/status", options.topic);
    connecting.set_last_will(LastWill::new(status, will, QoS::AtLeastOnce, true));
    if let Some(Login { user, password }) = &options.login {
        connecting.set_credentials(user, password);
    }
    if is_safe {
        let config = tls(options.authority.as_deref())?;
        let config = TlsConfiguration::Rustls(Arc::new(config));
        connecting.set_transport(Transport::tls_with_config(config));
    }
    Ok(connecting)
}

fn tls(authority: Option<&Path>) -> Result<rustls::ClientConfig, MqttError> {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(file) = authority {
        let fail = |reason: String| MqttError::Authority {
            file: file.to_owned(),
            reason,
        };
        let certificates = CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| fail(error.to_string()))?;
        if certificates.is_empty() {
            return Err(fail("it has no section CERTIFICATE".to_owned()));
        }
        for certificate in certificates {
            roots
                .add(certificate)
                .map_err(|error| fail(error.to_string()))?;
        }
    } else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(MqttError::Tls)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str, topic: &str) -> MqttOptions {
        MqttOptions {
            url: url.to_owned(),
            topic: topic.to_owned(),
            login: None,
            authority: None,
            backlog: 3,
        }
    }

    #[test]
    fn addresses_are_understood_or_refused() {
        for (url, port) in [
            ("mqtt://broker", 1883),
            ("mqtts://broker/", 8883),
            ("mqtt://127.0.0.1:99", 99),
        ] {
            let made = connecting(&options(url, "a")).unwrap();
            assert_eq!(made.broker_address().1, port);
            let id = made.client_id();
            assert!(id.len() <= 23 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            let will = made.last_will().unwrap();
            assert_eq!((will.topic.as_str(), will.retain), ("a/status", true));
        }
        for url in [
            "",
            "broker",
            "http://broker",
            "mqtt://",
            "mqtt://broker/topic",
        ] {
            assert!(connecting(&options(url, "a")).is_err(), "{url}");
        }
        let told = connecting(&options("mqtt://me:secret@broker", "a")).unwrap_err();
        assert!(!told.to_string().contains("secret"), "{told}");
        for topic in ["", "/a", "a/", "a/#", "+", "a\n"] {
            let refused = connecting(&options("mqtt://127.0.0.1:9", topic));
            assert!(matches!(refused, Err(MqttError::Topic { .. })), "{topic}");
        }
    }

    #[test]
    fn certificates_have_to_be_some() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        for content in [
            "",
            "no certificate",
            "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n",
        ] {
            std::fs::write(&file, content).unwrap();
            let refused = tls(Some(&file));
            assert!(
                matches!(refused, Err(MqttError::Authority { .. })),
                "{content}"
            );
        }
        assert!(tls(None).is_ok());
    }
}
