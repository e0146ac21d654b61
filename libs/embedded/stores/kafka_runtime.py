"""What the broker runs on: a Java runtime, the jars, and their options."""

from dataclasses import dataclass
from pathlib import Path

from libs.embedded.stores.java import Java

OPTIONS = (
    "-Xms48m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.net.preferIPv4Stack=true",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.logFile=System.out",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSX",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaConfig=warn",
)


@dataclass(frozen=True, slots=True)
class KafkaRuntime:
    """What is needed to run the broker's classes.

    Attributes:
        class_path: The jars, in the order of the lock (the archive is bound to it).
        archive_options: Options that use or make the archive of classes.
    """

    java: Java
    class_path: tuple[Path, ...]
    archive_options: tuple[str, ...] = ()

    def options_text(self) -> str:
        """Return the runtime's options as an argument file, which keeps the process list readable."""
        class_path = ":".join(str(path) for path in self.class_path)
        return "".join(f'"{option}"\n' for option in (*OPTIONS, *self.archive_options, "-cp", class_path))
